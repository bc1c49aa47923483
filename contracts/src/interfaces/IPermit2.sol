// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice The part of Uniswap's Permit2 that the escrow uses: single transfers by signature.
interface IPermit2 {
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    struct PermitTransferFrom {
        TokenPermissions permitted;
        /// @dev Any number that the owner has not used yet.
        uint256 nonce;
        uint256 deadline;
    }

    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// @notice Moves tokens of `owner`, who signed the permit for msg.sender as its spender.
    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external;
}
