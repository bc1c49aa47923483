// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Terms} from "../src/types/RentalTypes.sol";
import {Agreements} from "./Agreements.sol";

/// @notice What the proofs write down of every rental, and the formulas that the specification gives for what is held.
abstract contract Books is Agreements {
    uint8 internal constant OPEN = 1;
    uint8 internal constant DAMAGE = 2;
    uint8 internal constant DISPUTE = 4;
    uint8 internal constant VOID = 8;
    uint8 internal constant SPLIT = 16;

    struct Slot {
        uint96 paid;
        uint96 tail;
        uint40 claimBy;
        uint16 fundedBps;
        uint8 status;
    }

    /// @dev All amounts are what has happened to the one rental since it opened.
    struct Entry {
        Terms terms;
        bytes32 id;
        bool ended;
        uint256 fundedBps;
        uint256 paid;
        uint256 total;
        int256 toOwner;
        uint256 fee;
        uint256 toRenter;
        uint256 highestCeiling;
        uint256 highestAck;
    }

    struct Wealth {
        uint256 owner;
        uint256 renter;
        uint256 platform;
    }

    Entry[] internal book;

    function _slot(bytes32 id) internal view returns (Slot memory slot) {
        (slot.paid, slot.tail, slot.claimBy, slot.fundedBps, slot.status) = escrow.rentals(id);
    }

    function _wealth() internal view returns (Wealth memory) {
        return Wealth(_wealthOf(OWNER), _wealthOf(RENTER), _wealthOf(PLATFORM));
    }

    /// @dev In the purse and in the escrow together: a push and a credit are worth the same.
    function _wealthOf(uint256 key) internal view returns (uint256) {
        return token.balanceOf(vm.addr(key)) + _credit(key);
    }

    function _credit(uint256 key) internal view returns (uint256 amount) {
        (amount, ) = escrow.balances(address(token), _account(key));
    }

    function _prepaid(Terms memory terms, uint256 bps) internal pure returns (uint256) {
        return (uint256(terms.pay.max_total) * bps) / 10_000;
    }

    function _bond(Terms memory terms) internal pure returns (uint256) {
        return terms.rules.deposit / 10;
    }

    function _feeOn(Terms memory terms, uint256 amount) internal pure returns (uint256) {
        return (amount * terms.pay.fee_bps) / 10_000;
    }

    function _cap(Terms memory terms, Slot memory slot) internal view returns (uint256) {
        uint256 stopBy = slot.claimBy - terms.pay.claim_window;
        uint256 until = block.timestamp < stopBy ? block.timestamp : stopBy;
        uint256 elapsed = until > terms.pay.start_at ? until - terms.pay.start_at : 0;
        return terms.pay.block_max + (terms.pay.max_rate_per_hour * elapsed + 3599) / 3600;
    }

    /// @dev What the escrow must hold for an open rental: its pot, what was kept of the fee so far, and the owner's bond.
    function _held(Entry storage entry) internal view returns (uint256 held) {
        Slot memory slot = _slot(entry.id);
        if (slot.status & OPEN == 0) return 0;
        Terms memory terms = entry.terms;
        held = _feeOn(terms, slot.paid) - entry.fee;
        if (slot.status & DAMAGE != 0) held += _bond(terms);
        if (slot.status & SPLIT == 0) return held + _prepaid(terms, slot.fundedBps) + terms.rules.deposit - slot.paid;
        return held + slot.tail + (slot.status & DAMAGE != 0 ? terms.rules.deposit : _bond(terms));
    }

    function _disputed(Slot memory slot) internal pure returns (bool) {
        return slot.status & (DISPUTE | VOID) == DISPUTE;
    }

    function _tailThatCounts(Slot memory slot) internal pure returns (uint96) {
        return slot.status & VOID != 0 ? 0 : slot.tail;
    }

    function _disputeBy(Entry storage entry, Slot memory slot) internal view returns (uint256) {
        return uint256(slot.claimBy) + entry.terms.rules.challenge_window;
    }

    function _finalAfter(Entry storage entry, Slot memory slot) internal view returns (uint256) {
        if (slot.status & DAMAGE != 0 || _disputed(slot)) return _disputeBy(entry, slot) + 9 days;
        return _tailThatCounts(slot) == 0 ? slot.claimBy : _disputeBy(entry, slot);
    }

    function _min(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? a : b;
    }

    function _max(uint256 a, uint256 b) internal pure returns (uint256) {
        return a > b ? a : b;
    }
}
