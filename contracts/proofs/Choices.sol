// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Claim, Closing, Payees} from "../src/types/RentalTypes.sol";
import {Bookkeeper} from "./Bookkeeper.sol";

/// @notice Finds a rental that an action fits, and draws what the action is done with.
abstract contract Choices is Bookkeeper {
    function _someRow(Entry storage entry, Slot memory slot, uint256 seed) internal view returns (Claim memory) {
        uint256 ahead = [uint256(0), 1, 3 * USD, 10 * USD][(seed >> 64) % 4];
        uint256 ack = uint256(slot.paid) + [uint256(0), 1, 2_345_678, 30 * USD][(seed >> 72) % 4];
        uint256 due = ack + [uint256(0), 7, 3 * USD, type(uint64).max][(seed >> 80) % 4];
        return _row(entry.terms, entry.id, uint96(due), uint96(ack + ahead), uint96(ack));
    }

    /// @dev Whether a claim moves the slot at all: one that does not is refused as nothing new.
    function _changes(Entry storage entry, Slot memory slot, Claim memory row) internal view returns (bool) {
        uint256 owed = _min(row.reading.amount_due, row.ceiling.max_claimable);
        owed = _min(owed, uint256(row.ceiling.ack_amount) + row.pay.block_max);
        owed = _min(owed, _min(_cap(entry.terms, slot), _prepaid(entry.terms, slot.fundedBps)));
        if (_min(owed, row.ceiling.ack_amount) > slot.paid) return true;
        return slot.status & VOID == 0 && owed > uint256(slot.paid) + slot.tail;
    }

    function _someClosing(Entry storage entry, Slot memory slot, uint256 seed) internal view returns (Closing memory) {
        uint256 deposit = entry.terms.rules.deposit;
        uint256 damaged = (seed >> 80) % (deposit + 1);
        uint256 more = _prepaid(entry.terms, slot.fundedBps) - slot.paid;
        if (slot.status & SPLIT != 0) {
            // Only what was kept back is left to share.
            uint256 kept = slot.status & DAMAGE != 0 ? deposit : _bond(entry.terms);
            (damaged, more) = (damaged % (kept + 1), _min(more, slot.tail));
        }
        uint256 use = slot.paid + ((seed >> 112) % (more + 1));
        return Closing(uint96(use), uint96(damaged), uint40(block.timestamp));
    }

    function _somePayees(uint256 seed) internal pure returns (Payees memory payees) {
        if ((seed >> 210) % 2 == 0) payees.owner = vm.addr(OWNER);
        if ((seed >> 211) % 2 == 0) payees.renter = vm.addr(RENTER);
    }

    /// @dev The fuzzer likes small numbers, whose upper bits are all zero.
    function _dice(uint256 seed) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    // ---- where an action fits

    function _find(uint256 seed, function(Entry storage, Slot memory) view returns (bool) fits)
        internal
        view
        returns (bool, Entry storage entry, Slot memory slot)
    {
        // Never read where nothing is found.
        entry = book.length == 0 ? _nowhere() : book[0];
        for (uint256 i = 0; i < book.length; ++i) {
            entry = book[(seed % book.length + i) % book.length];
            if (entry.ended) continue;
            slot = _slot(entry.id);
            if (fits(entry, slot)) return (true, entry, slot);
        }
        return (false, entry, slot);
    }

    function _nowhere() private pure returns (Entry storage entry) {
        assembly ("memory-safe") {
            entry.slot := not(0)
        }
    }

    function _isOpen(Entry storage, Slot memory) internal pure returns (bool) {
        return true;
    }

    function _canTopUp(Entry storage entry, Slot memory slot) internal view returns (bool) {
        bool early = block.timestamp <= slot.claimBy - entry.terms.pay.claim_window;
        return slot.status & SPLIT == 0 && slot.fundedBps < 10_000 && early;
    }

    function _canClaim(Entry storage, Slot memory slot) internal view returns (bool) {
        return slot.status & SPLIT == 0 && block.timestamp <= slot.claimBy;
    }

    function _canExit(Entry storage entry, Slot memory slot) internal view returns (bool) {
        return block.timestamp + entry.terms.rules.notice + entry.terms.pay.claim_window < slot.claimBy;
    }

    function _canDamage(Entry storage entry, Slot memory slot) internal view returns (bool) {
        return slot.status & DAMAGE == 0 && block.timestamp <= slot.claimBy && entry.terms.rules.deposit != 0;
    }

    function _canDispute(Entry storage entry, Slot memory slot) internal view returns (bool) {
        if (slot.tail == 0 || slot.status & (DISPUTE | VOID) != 0) return false;
        return block.timestamp > slot.claimBy && block.timestamp <= _disputeBy(entry, slot);
    }

    function _canVoid(Entry storage, Slot memory slot) internal pure returns (bool) {
        return slot.status & VOID == 0;
    }

    function _canSettle(Entry storage entry, Slot memory slot) internal view returns (bool) {
        if (block.timestamp <= slot.claimBy) return false;
        return slot.status & SPLIT == 0 || block.timestamp > _finalAfter(entry, slot);
    }

    function _canRule(Entry storage entry, Slot memory slot) internal view returns (bool) {
        uint256 from = _disputeBy(entry, slot) + 48 hours;
        bool contested = slot.status & DAMAGE != 0 || _disputed(slot);
        return contested && block.timestamp > from && block.timestamp <= from + 7 days;
    }
}
