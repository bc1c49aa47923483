// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Rental, Status} from "../types/RentalTypes.sol";

/// @notice What a rental owes. Amounts are denoted in the token's base units, times in seconds.
library Accrual {
    uint256 internal constant BPS = 10_000;

    /// @notice The part of the price that is funded.
    function prepaid(uint96 maxTotal, uint16 fundedBps) internal pure returns (uint96) {
        // Fits: a share of at most one of a uint96.
        unchecked {
            return uint96((uint256(maxTotal) * fundedBps) / BPS);
        }
    }

    /// @notice What a dispute or a damage claim puts at stake.
    function bond(uint96 deposit) internal pure returns (uint96) {
        return deposit / 10;
    }

    /// @notice The fee on a cumulative amount: rounded on the total, so splitting claims changes nothing.
    function fee(uint16 feeBps, uint256 paid) internal pure returns (uint256) {
        // `paid` is at most a uint96, the share at most a uint16.
        unchecked {
            return (paid * feeBps) / BPS;
        }
    }

    /// @notice The most that elapsed time allows, whatever was signed.
    function rateCap(
        uint96 blockMax,
        uint96 maxRatePerHour,
        uint40 startAt,
        uint32 claimWindow,
        uint40 claimBy
    ) internal view returns (uint256) {
        // claim_by was end_by or an exit's time, plus claim_window; the product has at most 96 + 40 bits.
        unchecked {
            uint256 until = _min(block.timestamp, claimBy - claimWindow);
            uint256 elapsed = until > startAt ? until - startAt : 0;
            // Rounded up.
            return blockMax + (maxRatePerHour * elapsed + 1 hours - 1) / 1 hours;
        }
    }

    /// @notice The most that a rental may owe now, beyond what its reading and ceiling say: the block that follows what was
    /// acknowledged, elapsed time, and funds.
    function bound(
        uint96 maxTotal,
        uint96 blockMax,
        uint96 maxRatePerHour,
        uint40 startAt,
        uint32 claimWindow,
        Rental memory rental,
        uint96 ackAmount
    ) internal view returns (uint256) {
        uint256 cap = rateCap(blockMax, maxRatePerHour, startAt, claimWindow, rental.claim_by);
        // Two uint96 in 256 bits.
        unchecked {
            return _min(_min(uint256(ackAmount) + blockMax, cap), prepaid(maxTotal, rental.funded_bps));
        }
    }

    /// @notice The rental after a reading and a ceiling: what both keys allow becomes `paid` as far as the renter
    /// acknowledged it, the rest `tail`. Neither sum ever falls.
    /// @param limit See {bound}; the results are at most this, which is at most max_total.
    function accrue(
        Rental memory rental,
        uint96 amountDue,
        uint96 maxClaimable,
        uint96 ackAmount,
        uint256 limit
    ) internal pure returns (uint96 paid, uint96 tail) {
        unchecked {
            uint256 owed = _min(_min(amountDue, maxClaimable), limit);
            uint256 newPaid = _max(rental.paid, _min(owed, ackAmount));
            uint256 earned = rental.status & Status.VOID != 0 ? 0 : owed;
            uint256 total = _max(_max(uint256(rental.paid) + rental.tail, earned), newPaid);
            return (uint96(newPaid), uint96(total - newPaid));
        }
    }

    /// @notice What the escrow holds for an open rental, the fee on what is paid and the owner's damage bond apart.
    function pot(uint96 maxTotal, uint96 deposit, Rental memory rental) internal pure returns (uint256) {
        if (rental.status & Status.SPLIT == 0) {
            return uint256(prepaid(maxTotal, rental.funded_bps)) + deposit - rental.paid;
        }
        return uint256(rental.tail) + reserve(deposit, rental.status);
    }

    /// @notice What the early part of a settlement keeps back beside the tail.
    function reserve(uint96 deposit, uint8 status) internal pure returns (uint256) {
        return status & Status.DAMAGE != 0 ? deposit : bond(deposit);
    }

    // OpenZeppelin's are free of jumps, which costs twice as much.

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }
}
