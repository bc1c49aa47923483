// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @notice Stands at 0x100 where the prover's chain has no P-256 precompile (EIP-7951): the same answers, by arithmetic.
contract P256Precompile {
    fallback(bytes calldata input) external returns (bytes memory) {
        (bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y) = abi.decode(
            input,
            (bytes32, bytes32, bytes32, bytes32, bytes32)
        );
        return P256.verifySolidity(digest, r, s, x, y) ? abi.encode(1) : new bytes(0);
    }
}
