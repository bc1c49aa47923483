// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Claim, ClaimOutcome, Pay, Reading} from "../types/RentalTypes.sol";

/// @notice Turns readings and ceilings into money.
interface IRentalMetering {
    /// @param paid Cumulative gross amount that is now final. What is new of it, less its fee, went to the owner.
    event Claimed(bytes32 indexed rentalId, uint96 paid, uint96 tail);
    /// @notice What became of a batch, one log for all its rows.
    /// @param rows 64 bytes for each row, in order: rental id 32, paid 12, tail 12, outcome 1, zero 7. A row that was skipped has
    /// the reason as its outcome and zero as paid and tail.
    event ClaimedMany(bytes rows);
    /// @param tail What no longer counts.
    event TailVoided(bytes32 indexed rentalId, uint96 tail);

    error RentalEscrow_ClaimRefused(bytes32 rentalId, ClaimOutcome outcome);
    error RentalEscrow_MalformedBatch();
    error RentalEscrow_NoContradiction(uint64 firstSeq, uint64 secondSeq);
    error RentalEscrow_TooManyRows(uint256 rows, uint256 limit);

    /// @notice Pays what the device's reading and the renter's ceiling both allow. Anyone may send it.
    /// @param payee The owner's address to push to, or zero to credit the owner's account.
    function claim(Claim calldata row, address payee) external;

    /// @notice Claims up to 256 rentals, credits only. A bad row is skipped with a reason; the others count.
    /// @param batch Groups of rows, packed as {PackedClaims} says.
    /// @return rows What became of each, as {ClaimedMany} logs it.
    function claimPacked(bytes calldata batch) external returns (bytes memory rows);

    /// @notice Voids the tail of a device that contradicted itself: two signed readings of one number, one after its last, or
    /// a falling amount. Anyone may send it.
    /// @param rules hashStruct of Rules.
    /// @param first The reading with the lower number, where the numbers differ.
    function voidTail(
        Pay calldata pay,
        bytes32 rules,
        Reading calldata first,
        bytes calldata firstSignature,
        Reading calldata second,
        bytes calldata secondSignature
    ) external;
}
