// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalEscrow} from "../src/interfaces/IRentalEscrow.sol";
import {TestStablecoin} from "../src/TestStablecoin.sol";
import {Claim, Closing, Payees, Reading, Terms} from "../src/types/RentalTypes.sol";
import {Bookkeeper} from "./Bookkeeper.sol";

/// @notice Makes only calls that must succeed: each action looks for a rental that it fits, and does nothing where there is none.
contract Handler is Bookkeeper {
    uint256 private constant MOST_RENTALS = 6;
    uint256 private constant PURSE = 1e15;

    constructor(IRentalEscrow escrow_, TestStablecoin token_) {
        (escrow, token) = (escrow_, token_);
        domain = _domainOf(address(escrow_));
        token.mint(vm.addr(RENTER), PURSE);
        vm.prank(vm.addr(RENTER));
        token.approve(address(escrow), type(uint256).max);
        token.mint(address(this), PURSE);
        token.approve(address(escrow), type(uint256).max);
        // The owner's bonds and the renter's own balance.
        escrow.deposit(address(token), _account(OWNER), uint128(1000 * USD));
        escrow.deposit(address(token), _account(RENTER), uint128(1e13));
    }

    function open(uint256 seed) external counted("open") {
        _open(seed, false);
    }

    function openFromBalance(uint256 seed) external counted("openFromBalance") {
        _open(seed, true);
    }

    function topUp(uint256 seed) external {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _canTopUp);
        if (!found) return;
        uint16 bps = uint16(slot.fundedBps + 1 + (seed >> 64) % (10_000 - slot.fundedBps));
        bytes memory signature = _sign(RENTER, _fund(entry.id, bps));
        if ((seed >> 96) % 2 == 0) escrow.topUp(entry.terms, bps, signature);
        else escrow.topUpFromBalance(entry.terms, bps, signature);
        entry.fundedBps = bps;
        ++reached["topUp"];
    }

    function claim(uint256 seed) external {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _canClaim);
        if (!found) return;
        Claim memory row = _someRow(entry, slot, seed);
        if (!_changes(entry, slot, row)) return;
        address payee = (seed >> 200) % 2 == 0 ? address(0) : vm.addr(OWNER);
        _claim(entry, row, payee);
    }

    function exit(uint256 seed) external {
        (bool found, Entry storage entry, ) = _find(seed, _canExit);
        if (!found) return;
        uint256 key = [RENTER, RENTER_AGENT, OWNER, OWNER_AGENT][(seed >> 64) % 4];
        escrow.exit(entry.terms, _sign(key, _exit(entry.id)));
        ++reached["exit"];
    }

    function damage(uint256 seed) external {
        (bool found, Entry storage entry, ) = _find(seed, _canDamage);
        if (!found || _credit(OWNER) < _bond(entry.terms)) return;
        _damageWatched(entry, uint96(1 + (seed >> 64) % entry.terms.rules.deposit));
    }

    function dispute(uint256 seed) external {
        (bool found, Entry storage entry, ) = _find(seed, _canDispute);
        if (!found) return;
        escrow.dispute(entry.terms, _sign(RENTER, _dispute(entry.id)));
        ++reached["dispute"];
    }

    function voidTail(uint256 seed) external {
        // Rarely: else hardly a tail lives to be disputed.
        if (_dice(seed) % 12 != 0) return;
        (bool found, Entry storage entry, ) = _find(seed, _canVoid);
        if (found) _voidWatched(entry);
    }

    function close(uint256 seed) external {
        if (_dice(seed) % 8 != 0) return;
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _isOpen);
        if (found) _closeWatched(entry, _someClosing(entry, slot, seed), seed);
    }

    function settle(uint256 seed) external {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _canSettle);
        if (!found) return;
        bool whole = block.timestamp > _finalAfter(entry, slot);
        _settleWatched(entry);
        ++reached[whole ? "settle" : "split"];
    }

    function rule(uint256 seed) external {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _canRule);
        if (found) _ruleWatched(entry, slot, seed);
    }

    function withdraw(uint256 seed) external {
        uint256 key = [OWNER, PLATFORM, OWNER][seed % 3];
        uint128 amount = uint128((seed >> 8) % (_credit(key) / 4 + 1));
        if (amount == 0) return;
        (, uint64 nonce) = escrow.balances(address(token), _account(key));
        uint40 until = uint40(block.timestamp);
        bytes memory signature = _sign(key, _withdraw(vm.addr(key), amount, 0, nonce, until));
        escrow.withdraw(address(token), vm.addr(key), amount, 0, nonce, until, signature);
        ++reached["withdraw"];
    }

    /// @dev The clock goes to a deadline of some rental or a second beyond, or on by some minutes.
    function time(uint256 seed) external counted("time") {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _isOpen);
        uint256 at = block.timestamp + 1 + (seed >> 64) % 30 minutes;
        if (found && _dice(seed) % 2 == 0) {
            uint256 by = _disputeBy(entry, slot);
            uint256[4] memory deadlines = [uint256(slot.claimBy), by, by + 2 days, by + 9 days];
            for (uint256 i = 4; i > 0; --i) if (deadlines[i - 1] >= block.timestamp) at = deadlines[i - 1];
            at += (seed >> 136) % 2;
        }
        vm.warp(at);
    }

    function _open(uint256 seed, bool fromBalance) private {
        uint256 living = 0;
        for (uint256 i = 0; i < book.length; ++i) if (!book[i].ended) ++living;
        if (living == MOST_RENTALS) return;
        // Every rental has terms of its own.
        Terms memory terms = _terms(uint256(keccak256(abi.encode(seed, book.length))), uint40(block.timestamp));
        uint16 bps = [uint16(10_000), 5_000, 9_999, 1][(seed >> 160) % 4];
        Entry storage entry = book.push();
        (entry.terms, entry.id, entry.fundedBps) = (terms, _idOf(terms), bps);
        bytes memory signature = bps == 10_000 ? _signDigest(RENTER, entry.id) : _sign(RENTER, _fund(entry.id, bps));
        bytes32 id = fromBalance ? escrow.openFromBalance(terms, bps, signature) : escrow.open(terms, bps, signature);
        require(id == entry.id, "another id than the agreement's digest");
    }

    function _claim(Entry storage entry, Claim memory row, address payee) private watched(entry) counted("claim") {
        entry.highestCeiling = _max(entry.highestCeiling, row.ceiling.max_claimable);
        entry.highestAck = _max(entry.highestAck, row.ceiling.ack_amount);
        escrow.claim(row, payee);
    }

    function _damageWatched(Entry storage entry, uint96 amount) private watched(entry) counted("damage") {
        bytes32 evidence = keccak256("photographs");
        escrow.damage(entry.terms, amount, evidence, _sign(OWNER_AGENT, _damage(entry.id, amount, evidence)));
    }

    function _voidWatched(Entry storage entry) private watched(entry) counted("voidTail") {
        (Reading memory first, bytes memory one) = _reading(entry.id, 4, 5, false);
        (Reading memory second, bytes memory other) = _reading(entry.id, 4, 6, false);
        escrow.voidTail(entry.terms.pay, _rulesHash(entry.terms.rules), first, one, second, other);
    }

    function _closeWatched(Entry storage entry, Closing memory closing, uint256 seed)
        private
        watched(entry)
        counted("close")
    {
        bytes32 structHash = _close(entry.id, closing);
        bytes memory ownerSignature = _sign((seed >> 72) % 2 == 0 ? OWNER : OWNER_AGENT, structHash);
        escrow.close(entry.terms, closing, ownerSignature, _sign(RENTER, structHash), _somePayees(seed));
    }

    function _ruleWatched(Entry storage entry, Slot memory slot, uint256 seed) private watched(entry) counted("rule") {
        bool disputed = _disputed(slot);
        uint96 tail = _tailThatCounts(slot);
        if (disputed) tail = uint96([uint256(tail), 0, (seed >> 64) % (uint256(tail) + 1)][(seed >> 80) % 3]);
        uint256 most = slot.status & DAMAGE == 0 ? 0 : entry.terms.rules.deposit;
        if (most != 0 && disputed) most -= _bond(entry.terms);
        uint96 part = uint96([0, most, (seed >> 96) % (most + 1)][(seed >> 88) % 3]);
        vm.prank(vm.addr(ARBITER));
        escrow.rule(entry.terms, tail, part, _somePayees(seed));
    }

    function _someRow(Entry storage entry, Slot memory slot, uint256 seed) private view returns (Claim memory) {
        uint256 ahead = [uint256(0), 1, 3 * USD, 10 * USD][(seed >> 64) % 4];
        uint256 ack = uint256(slot.paid) + [uint256(0), 1, 2_345_678, 30 * USD][(seed >> 72) % 4];
        uint256 due = ack + [uint256(0), 7, 3 * USD, type(uint64).max][(seed >> 80) % 4];
        return _row(entry.terms, entry.id, uint96(due), uint96(ack + ahead), uint96(ack));
    }

    /// @dev Whether a claim moves the slot at all: one that does not is refused as nothing new.
    function _changes(Entry storage entry, Slot memory slot, Claim memory row) private view returns (bool) {
        uint256 owed = _min(row.reading.amount_due, row.ceiling.max_claimable);
        owed = _min(owed, uint256(row.ceiling.ack_amount) + row.pay.block_max);
        owed = _min(owed, _min(_cap(entry.terms, slot), _prepaid(entry.terms, slot.fundedBps)));
        if (_min(owed, row.ceiling.ack_amount) > slot.paid) return true;
        return slot.status & VOID == 0 && owed > uint256(slot.paid) + slot.tail;
    }

    function _someClosing(Entry storage entry, Slot memory slot, uint256 seed) private view returns (Closing memory) {
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

    function _somePayees(uint256 seed) private pure returns (Payees memory payees) {
        if ((seed >> 210) % 2 == 0) payees.owner = vm.addr(OWNER);
        if ((seed >> 211) % 2 == 0) payees.renter = vm.addr(RENTER);
    }

    /// @dev The fuzzer likes small numbers, whose upper bits are all zero.
    function _dice(uint256 seed) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed)));
    }

    // ---- where an action fits

    function _find(uint256 seed, function(Entry storage, Slot memory) view returns (bool) fits)
        private
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

    function _isOpen(Entry storage, Slot memory) private pure returns (bool) {
        return true;
    }

    function _canTopUp(Entry storage entry, Slot memory slot) private view returns (bool) {
        bool early = block.timestamp <= slot.claimBy - entry.terms.pay.claim_window;
        return slot.status & SPLIT == 0 && slot.fundedBps < 10_000 && early;
    }

    function _canClaim(Entry storage, Slot memory slot) private view returns (bool) {
        return slot.status & SPLIT == 0 && block.timestamp <= slot.claimBy;
    }

    function _canExit(Entry storage entry, Slot memory slot) private view returns (bool) {
        return block.timestamp + entry.terms.rules.notice + entry.terms.pay.claim_window < slot.claimBy;
    }

    function _canDamage(Entry storage entry, Slot memory slot) private view returns (bool) {
        return slot.status & DAMAGE == 0 && block.timestamp <= slot.claimBy && entry.terms.rules.deposit != 0;
    }

    function _canDispute(Entry storage entry, Slot memory slot) private view returns (bool) {
        if (slot.tail == 0 || slot.status & (DISPUTE | VOID) != 0) return false;
        return block.timestamp > slot.claimBy && block.timestamp <= _disputeBy(entry, slot);
    }

    function _canVoid(Entry storage, Slot memory slot) private pure returns (bool) {
        return slot.status & VOID == 0;
    }

    function _canSettle(Entry storage entry, Slot memory slot) private view returns (bool) {
        if (block.timestamp <= slot.claimBy) return false;
        return slot.status & SPLIT == 0 || block.timestamp > _finalAfter(entry, slot);
    }

    function _canRule(Entry storage entry, Slot memory slot) private view returns (bool) {
        uint256 from = _disputeBy(entry, slot) + 48 hours;
        bool contested = slot.status & DAMAGE != 0 || _disputed(slot);
        return contested && block.timestamp > from && block.timestamp <= from + 7 days;
    }
}
