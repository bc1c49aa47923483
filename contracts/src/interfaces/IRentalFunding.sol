// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Authorization, Permit, Permit2Authorization, Terms} from "../types/RentalTypes.sol";

/// @notice Opens a rental and raises its funding.
interface IRentalFunding {
    /// @param prepaid Funded part of max_total; the escrow now holds prepaid and the terms' deposit for the rental.
    event Opened(bytes32 indexed rentalId, uint96 prepaid, uint16 fundedBps);
    /// @param prepaid Funded part of max_total after the top-up; `added` came in.
    event ToppedUp(bytes32 indexed rentalId, uint96 prepaid, uint96 added, uint16 fundedBps);

    error RentalEscrow_AlreadyKnown(bytes32 rentalId);
    error RentalEscrow_EndTooFar(uint256 endBy, uint256 limit);
    error RentalEscrow_FeeTooHigh(uint256 feeBps, uint256 limit);
    error RentalEscrow_FundedBpsOutOfRange(uint256 fundedBps, uint256 minimum, uint256 maximum);
    error RentalEscrow_FundsTooLarge(uint256 funds, uint256 limit);
    error RentalEscrow_NoticeTooLong(uint256 notice, uint256 limit);
    error RentalEscrow_TimesOutOfOrder(uint256 startAt, uint256 fundBy, uint256 endBy);
    error RentalEscrow_WindowOutOfRange(uint256 window, uint256 minimum, uint256 maximum);

    /// @notice Opens a rental with the renter's tokens, by allowance.
    /// @param fundedBps Share of max_total to fund, 1 to 10,000. A relayed open funds 10,000 with the renter's signature of
    /// the agreement; any share with its signature of Fund(rental_id, funded_bps).
    /// @param signature The renter's; empty if the renter is msg.sender.
    /// @return rentalId The agreement's EIP-712 digest.
    function open(Terms calldata terms, uint16 fundedBps, bytes calldata signature) external returns (bytes32 rentalId);

    /// @notice Like {open}, after the renter's token permit for the escrow. A permit that was used before does not matter as
    /// long as the allowance is there.
    function openWithPermit(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit calldata permit
    ) external returns (bytes32 rentalId);

    /// @notice Like {open}, with an ERC-3009 authorisation of exactly prepaid + deposit under the nonce
    /// hashStruct(Fund(rental_id, funded_bps)).
    function openWithAuthorization(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Authorization calldata authorization
    ) external returns (bytes32 rentalId);

    /// @notice Like {open}, with a Permit2 signature transfer of exactly prepaid + deposit under the nonce
    /// uint256(hashStruct(Fund(rental_id, funded_bps))).
    function openWithPermit2(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit2Authorization calldata authorization
    ) external returns (bytes32 rentalId);

    /// @notice Like {open}, out of the renter's balance inside the escrow.
    function openFromBalance(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature
    ) external returns (bytes32 rentalId);

    /// @notice Raises the funded share of an open rental until its end, by allowance.
    /// @param signature Empty: msg.sender pays, whoever that is. Else the renter's signature of
    /// Fund(rental_id, funded_bps), and the renter pays.
    function topUp(Terms calldata terms, uint16 fundedBps, bytes calldata signature) external;

    /// @notice Like {topUp}, after the payer's token permit for the escrow.
    function topUpWithPermit(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit calldata permit
    ) external;

    /// @notice Like {topUp}, with an ERC-3009 authorisation of exactly the difference under the nonce
    /// hashStruct(Fund(rental_id, funded_bps)).
    function topUpWithAuthorization(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Authorization calldata authorization
    ) external;

    /// @notice Like {topUp}, with a Permit2 signature transfer of exactly the difference under the nonce
    /// uint256(hashStruct(Fund(rental_id, funded_bps))).
    function topUpWithPermit2(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit2Authorization calldata authorization
    ) external;

    /// @notice Like {topUp}, out of the payer's balance inside the escrow.
    function topUpFromBalance(Terms calldata terms, uint16 fundedBps, bytes calldata signature) external;
}
