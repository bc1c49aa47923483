// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @title Daily Merkle roots of readings and bills
/// @notice A publisher says once a day what its records were, so that nobody can add, drop or change one afterwards unseen.
/// Trees are OpenZeppelin's StandardMerkleTree over leaves of one bytes32: a leaf is hashed twice, a pair once and in sorted
/// order.
///
/// A batch is named by 32 bytes: its stream's 28 (such as "readings"), then the day's four, counted from 1970-01-01 UTC; see
/// {batchOf}. Stream and day travel as that one word because a transaction pays for every byte.
interface IBatchAnchor {
    /// @notice A root was told, and nothing stored: the log is the record, and only the first of a batch counts.
    event RootAnnounced(address indexed publisher, bytes32 batch, bytes32 root);
    /// @notice A root was stored: {rootOf} answers it.
    event RootAnchored(address indexed publisher, bytes32 batch);

    error BatchAnchor_AlreadyAnchored(address publisher, bytes32 batch, bytes32 root);
    error BatchAnchor_ZeroRoot();

    /// @notice Tells a root of the sender's by event alone.
    function announce(bytes32 batch, bytes32 root) external;

    /// @notice Stores a root of the sender's, once: no call replaces or removes it.
    /// @param root Not zero.
    function anchor(bytes32 batch, bytes32 root) external;

    /// @notice The stored root of a batch; zero if none.
    function rootOf(address publisher, bytes32 batch) external view returns (bytes32 root);

    /// @notice Whether `proof` shows `value` in the stored batch. False where nothing is stored.
    /// @param value The leaf's 32 bytes, not hashed yet.
    /// @param proof Siblings from the leaf up.
    function isAnchored(
        address publisher,
        bytes32 batch,
        bytes32 value,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Whether `proof` shows `value` in the tree of `root`, such as one that was announced.
    /// @param value The leaf's 32 bytes, not hashed yet.
    /// @param proof Siblings from the leaf up.
    function contains(bytes32 root, bytes32 value, bytes32[] calldata proof) external pure returns (bool);

    /// @notice The 32 bytes that name a batch.
    /// @param stream Unique among the publisher's own streams.
    /// @param day Days since 1970-01-01 UTC.
    function batchOf(bytes28 stream, uint32 day) external pure returns (bytes32);
}
