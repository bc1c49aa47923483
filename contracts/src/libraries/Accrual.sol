// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Status} from "../types/RentalTypes.sol";
import {RentalWord} from "./RentalWords.sol";

/// @notice What a rental owes. Amounts are denoted in the token's base units, times in seconds.
/// @dev Every argument is as small as the member it comes from (amounts 96 bits, times 40, shares 16), so that no sum or product
/// of two can pass 256 bits.
library Accrual {
    uint256 internal constant BPS = 10_000;

    /// @notice The part of the price that is funded.
    function prepaid(uint256 maxTotal, uint256 fundedBps) internal pure returns (uint256) {
        unchecked {
            return (maxTotal * fundedBps) / BPS;
        }
    }

    /// @notice What a dispute or a damage claim puts at stake.
    function bond(uint256 deposit) internal pure returns (uint256) {
        return deposit / 10;
    }

    /// @notice The fee on a cumulative amount: rounded on the total, so splitting claims changes nothing.
    function fee(uint256 feeBps, uint256 paid) internal pure returns (uint256) {
        unchecked {
            return (paid * feeBps) / BPS;
        }
    }

    /// @notice The most that elapsed time allows, whatever was signed.
    function rateCap(
        uint256 blockMax,
        uint256 maxRatePerHour,
        uint256 startAt,
        uint256 claimWindow,
        uint256 claimBy
    ) internal view returns (uint256) {
        // claim_by was end_by or an exit's time, plus claim_window.
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
        uint256 maxTotal,
        uint256 blockMax,
        uint256 maxRatePerHour,
        uint256 startAt,
        uint256 claimWindow,
        RentalWord rental,
        uint256 ackAmount
    ) internal view returns (uint256) {
        uint256 cap = rateCap(blockMax, maxRatePerHour, startAt, claimWindow, rental.claimBy());
        unchecked {
            return _min(_min(ackAmount + blockMax, cap), prepaid(maxTotal, rental.fundedBps()));
        }
    }

    /// @notice The rental after a reading and a ceiling: what both keys allow becomes `paid` as far as the renter
    /// acknowledged it, the rest `tail`. Neither sum ever falls.
    /// @param limit See {bound}; the results are at most this, which is at most max_total.
    function accrue(
        RentalWord rental,
        uint256 amountDue,
        uint256 maxClaimable,
        uint256 ackAmount,
        uint256 limit
    ) internal pure returns (RentalWord) {
        unchecked {
            uint256 owed = _min(_min(amountDue, maxClaimable), limit);
            uint256 before = rental.paid();
            uint256 paid = _max(before, _min(owed, ackAmount));
            // Of a device that contradicted itself only what the renter acknowledged counts.
            uint256 total = _max(before + rental.tail(), rental.has(Status.VOID) ? paid : owed);
            return rental.withSums(paid, total - paid);
        }
    }

    /// @notice What the escrow holds for an open rental, the fee on what is paid and the owner's damage bond apart.
    /// @param funded See {prepaid}.
    function pot(uint256 funded, uint256 deposit, RentalWord rental) internal pure returns (uint256) {
        unchecked {
            if (!rental.has(Status.SPLIT)) return funded + deposit - rental.paid();
            return rental.tail() + reserve(deposit, rental);
        }
    }

    /// @notice What the early part of a settlement keeps back beside the tail.
    function reserve(uint256 deposit, RentalWord rental) internal pure returns (uint256) {
        return rental.has(Status.DAMAGE) ? deposit : bond(deposit);
    }

    // OpenZeppelin's are free of jumps, which costs twice as much.

    function _min(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) private pure returns (uint256) {
        return a > b ? a : b;
    }
}
