// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {Pay, Rental, Status} from "../types/RentalTypes.sol";

/// @notice What a rental owes. Amounts are denoted in the token's base units, times in seconds.
library Accrual {
    uint256 internal constant BPS = 10_000;

    /// @notice The part of the price that is funded.
    function prepaid(uint96 maxTotal, uint16 fundedBps) internal pure returns (uint96) {
        return uint96((uint256(maxTotal) * fundedBps) / BPS);
    }

    /// @notice What a dispute or a damage claim puts at stake.
    function bond(uint96 deposit) internal pure returns (uint96) {
        return deposit / 10;
    }

    /// @notice The fee between two cumulative amounts: rounded on the totals, so splitting claims changes nothing.
    function feeBetween(uint16 feeBps, uint256 earlier, uint256 later) internal pure returns (uint96) {
        return uint96((later * feeBps) / BPS - (earlier * feeBps) / BPS);
    }

    /// @notice The most that elapsed time allows, whatever was signed.
    function rateCap(Pay calldata pay, uint40 claimBy) internal view returns (uint256) {
        uint256 until = Math.min(block.timestamp, claimBy - pay.claim_window);
        uint256 elapsed = Math.saturatingSub(until, pay.start_at);
        return pay.block_max + Math.ceilDiv(pay.max_rate_per_hour * elapsed, 1 hours);
    }

    /// @notice The rental after a reading and a ceiling: what both keys allow becomes `paid` as far as the renter
    /// acknowledged it, the rest `tail`. Neither sum ever falls.
    function accrue(
        Pay calldata pay,
        Rental memory rental,
        uint96 amountDue,
        uint96 maxClaimable,
        uint96 ackAmount
    ) internal view returns (uint96 paid, uint96 tail) {
        uint256 owed = Math.min(amountDue, maxClaimable);
        owed = Math.min(owed, uint256(ackAmount) + pay.block_max);
        owed = Math.min(owed, rateCap(pay, rental.claim_by));
        owed = Math.min(owed, prepaid(pay.max_total, rental.funded_bps));

        uint256 newPaid = Math.max(rental.paid, Math.min(owed, ackAmount));
        uint256 earned = rental.status & Status.VOID != 0 ? 0 : owed;
        uint256 total = Math.max(Math.max(uint256(rental.paid) + rental.tail, earned), newPaid);
        // Each is at most prepaid, which is at most max_total.
        return (uint96(newPaid), uint96(total - newPaid));
    }

    /// @notice What the escrow holds for an open rental, the owner's damage bond apart.
    function pot(Pay calldata pay, uint96 deposit, Rental memory rental) internal pure returns (uint256) {
        if (rental.status & Status.SPLIT == 0) {
            return uint256(prepaid(pay.max_total, rental.funded_bps)) + deposit - rental.paid;
        }
        return uint256(rental.tail) + reserve(deposit, rental.status);
    }

    /// @notice What the early part of a settlement keeps back beside the tail.
    function reserve(uint96 deposit, uint8 status) internal pure returns (uint256) {
        return status & Status.DAMAGE != 0 ? deposit : bond(deposit);
    }
}
