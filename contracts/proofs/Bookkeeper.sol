// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Payees, Terms} from "../src/types/RentalTypes.sol";
import {Books} from "./Books.sol";

/// @notice Watches every step that touches a rental, and says at once when money or a counter went the wrong way.
abstract contract Bookkeeper is Books {
    /// @dev How often each action did something.
    mapping(string action => uint256) public reached;

    modifier counted(string memory action) {
        _;
        ++reached[action];
    }

    /// @dev Around every step: who got what, and that paid and paid + tail never fall (unless the device contradicted itself).
    modifier watched(Entry storage entry) {
        Wealth memory earlier = _wealth();
        _;
        _record(entry, earlier, _wealth());
    }

    function rentalCount() external view returns (uint256) {
        return book.length;
    }

    /// @dev Property 1, from the outside: what all rentals hold and what all accounts hold.
    function heldByRentals() external view returns (uint256 sum) {
        for (uint256 i = 0; i < book.length; ++i) sum += _held(book[i]);
    }

    function heldByAccounts() external view returns (uint256 sum) {
        for (uint256 key = OWNER; key <= PLATFORM; ++key) sum += _credit(key);
    }

    /// @dev Property 7: what is owed follows from the renter's own ceilings, the time that passed and the funds.
    function requireBounded() external view {
        for (uint256 i = 0; i < book.length; ++i) {
            Entry storage entry = book[i];
            Slot memory slot = _slot(entry.id);
            if (slot.status & OPEN == 0) continue;
            uint256 total = uint256(slot.paid) + slot.tail;
            require(slot.paid <= entry.highestAck, "paid beyond what was acknowledged");
            require(total <= entry.highestCeiling, "owed beyond the ceiling");
            require(total <= entry.highestAck + entry.terms.pay.block_max, "owed more than a block ahead");
            require(total <= _cap(entry.terms, slot), "owed faster than the rate");
            require(total <= _prepaid(entry.terms, slot.fundedBps), "owed beyond the funds");
        }
    }

    /// @dev Property 8: after the last deadline a stranger alone brings every rental to its end.
    function everyoneVanishes() external {
        uint256 last = block.timestamp;
        for (uint256 i = 0; i < book.length; ++i) {
            if (!book[i].ended) last = _max(last, _disputeBy(book[i], _slot(book[i].id)) + 9 days);
        }
        vm.warp(last + 1);
        for (uint256 i = 0; i < book.length; ++i) {
            if (!book[i].ended) _settleWatched(book[i]);
            require(book[i].ended, "a rental outlived its last deadline");
        }
    }

    function _settleWatched(Entry storage entry) internal watched(entry) {
        vm.prank(address(0xbeef));
        escrow.settle(entry.terms, Payees(address(0), address(0)));
    }

    function _record(Entry storage entry, Wealth memory earlier, Wealth memory later) private {
        Slot memory slot = _slot(entry.id);
        entry.toOwner += int256(later.owner) - int256(earlier.owner);
        entry.fee += later.platform - earlier.platform;
        entry.toRenter += later.renter - earlier.renter;
        if (slot.status & OPEN != 0) {
            require(slot.paid >= entry.paid, "paid fell");
            uint256 total = uint256(slot.paid) + slot.tail;
            require(total >= entry.total || slot.status & VOID != 0, "owed fell");
            (entry.paid, entry.total, entry.fundedBps) = (slot.paid, total, slot.fundedBps);
        } else {
            _end(entry);
        }
    }

    /// @dev Properties 2 and 3: funded = payout + fee + refund to the base unit, and the end absorbs.
    function _end(Entry storage entry) private {
        require(!entry.ended, "ended twice");
        entry.ended = true;
        Terms memory terms = entry.terms;
        uint256 funded = _prepaid(terms, entry.fundedBps) + terms.rules.deposit;
        int256 out = entry.toOwner + int256(entry.fee) + int256(entry.toRenter);
        require(out == int256(funded), "funded is not payout + fee + refund");
        require(entry.fee <= _feeOn(terms, _prepaid(terms, entry.fundedBps)), "fee beyond its share");
        _requireRefused(abi.encodeCall(escrow.settle, (terms, Payees(address(0), address(0)))), address(this));
        _requireRefused(abi.encodeCall(escrow.open, (terms, 10_000, "")), vm.addr(RENTER));
    }

    function _requireRefused(bytes memory call, address sender) private {
        vm.prank(sender);
        (bool accepted, ) = address(escrow).call(call);
        require(!accepted, "an ended rental came back");
    }
}
