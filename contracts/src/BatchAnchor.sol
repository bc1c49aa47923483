// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IBatchAnchor} from "./interfaces/IBatchAnchor.sol";

/// @title BatchAnchor
/// @notice See {IBatchAnchor}.
contract BatchAnchor is IBatchAnchor {
    /// @dev A struct, so that one storage pointer serves the look and the write: its two hashes cost as much as the event's data.
    struct Anchored {
        // ----------------------------------------- slot 0
        bytes32 root;
    }

    mapping(address publisher => mapping(bytes32 batch => Anchored)) public override rootOf;

    /// @inheritdoc IBatchAnchor
    function announce(bytes32 batch, bytes32 root) external override {
        emit RootAnnounced(msg.sender, batch, root);
    }

    /// @inheritdoc IBatchAnchor
    function anchor(bytes32 batch, bytes32 root) external override {
        if (root == 0) revert BatchAnchor_ZeroRoot();
        Anchored storage anchored = rootOf[msg.sender][batch];
        if (anchored.root != 0) revert BatchAnchor_AlreadyAnchored(msg.sender, batch, anchored.root);
        anchored.root = root;
        emit RootAnchored(msg.sender, batch);
    }

    /// @inheritdoc IBatchAnchor
    function isAnchored(
        address publisher,
        bytes32 batch,
        bytes32 value,
        bytes32[] calldata proof
    ) external view override returns (bool) {
        bytes32 root = rootOf[publisher][batch].root;
        return root != 0 && contains(root, value, proof);
    }

    /// @inheritdoc IBatchAnchor
    function batchOf(bytes28 stream, uint32 day) external pure override returns (bytes32) {
        return bytes32(stream) | bytes32(uint256(day));
    }

    /// @inheritdoc IBatchAnchor
    function contains(
        bytes32 root,
        bytes32 value,
        bytes32[] calldata proof
    ) public pure override returns (bool) {
        // Twice, so that no inner node, which is hashed once, can pass for a leaf.
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(value))));
        return MerkleProof.verifyCalldata(proof, root, leaf);
    }
}
