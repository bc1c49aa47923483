// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalEscrow} from "../src/interfaces/IRentalEscrow.sol";
import {TestStablecoin} from "../src/TestStablecoin.sol";
import {Authorization, Claim, Closing, Reading, Terms} from "../src/types/RentalTypes.sol";
import {Batches} from "./Batches.sol";
import {Payments} from "./Payments.sol";

/// @notice Makes only calls that must succeed: each action looks for a rental that it fits, and does nothing where there is none.
contract Handler is Batches, Payments {
    enum Way {
        ALLOWANCE,
        BALANCE,
        PERMIT,
        AUTHORIZATION
    }

    uint256 private constant MOST_RENTALS = 6;
    uint256 private constant PURSE = 1e15;

    constructor(IRentalEscrow escrow_, TestStablecoin token_) {
        (escrow, token) = (escrow_, token_);
        domain = _domainOf(address(escrow_));
        token.mint(vm.addr(RENTER), PURSE);
        _allowAll();
        token.mint(address(this), PURSE);
        token.approve(address(escrow), type(uint256).max);
        // The owner's bonds and the renter's own balance.
        escrow.deposit(address(token), _account(OWNER), uint128(1000 * USD));
        escrow.deposit(address(token), _account(RENTER), uint128(1e13));
    }

    function open(uint256 seed) external counted("open") {
        _open(seed, Way.ALLOWANCE);
    }

    function openFromBalance(uint256 seed) external counted("openFromBalance") {
        _open(seed, Way.BALANCE);
    }

    function openWithPermit(uint256 seed) external counted("openWithPermit") {
        _open(seed, Way.PERMIT);
    }

    function openWithAuthorization(uint256 seed) external counted("openWithAuthorization") {
        _open(seed, Way.AUTHORIZATION);
    }

    function topUp(uint256 seed) external {
        (bool found, Entry storage entry, Slot memory slot) = _find(seed, _canTopUp);
        if (!found) return;
        uint16 bps = uint16(slot.fundedBps + 1 + (seed >> 64) % (10_000 - slot.fundedBps));
        bytes memory signature = _sign(RENTER, _fund(entry.id, bps));
        uint256 value = _prepaid(entry.terms, bps) - _prepaid(entry.terms, slot.fundedBps);
        Way way = Way((seed >> 96) % 4);
        if (way == Way.ALLOWANCE) escrow.topUp(entry.terms, bps, signature);
        if (way == Way.BALANCE) escrow.topUpFromBalance(entry.terms, bps, signature);
        if (way == Way.PERMIT) {
            escrow.topUpWithPermit(entry.terms, bps, signature, _permit(value));
            _allowAll();
        }
        if (way == Way.AUTHORIZATION) {
            escrow.topUpWithAuthorization(entry.terms, bps, signature, _authorization(value, _fund(entry.id, bps)));
        }
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

    function claimPacked(uint256 seed) external {
        if (_dice(seed) % 3 == 0 && book.length != 0) _claimAll(seed);
    }

    function exit(uint256 seed) external {
        (bool found, Entry storage entry, ) = _find(seed, _canExit);
        if (!found) return;
        uint256 key = [RENTER, RENTER_AGENT, OWNER, OWNER_AGENT][(seed >> 64) % 4];
        bytes32 account = key == RENTER_AGENT ? entry.terms.pay.renter_agent : _account(key);
        escrow.exit(entry.terms, _signAs(account, key, _exit(entry.id)));
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
        bytes memory signature = _sign(key, _withdraw(_account(key), vm.addr(key), amount, 0, nonce, until));
        escrow.withdraw(_account(key), address(token), vm.addr(key), amount, 0, nonce, until, signature);
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

    function _open(uint256 seed, Way way) private {
        uint256 living = 0;
        for (uint256 i = 0; i < book.length; ++i) if (!book[i].ended) ++living;
        if (living == MOST_RENTALS) return;
        // Every rental has terms of its own.
        Terms memory terms = _terms(uint256(keccak256(abi.encode(seed, book.length))), uint40(block.timestamp));
        uint16 bps = [uint16(10_000), 5_000, 9_999, 1][(seed >> 160) % 4];
        Entry storage entry = book.push();
        (entry.terms, entry.id, entry.fundedBps) = (terms, _idOf(terms), bps);
        bytes memory signature = bps == 10_000 ? _signDigest(RENTER, entry.id) : _sign(RENTER, _fund(entry.id, bps));
        bytes32 id = _fundBy(way, entry, bps, signature);
        require(id == entry.id, "another id than the agreement's digest");
    }

    function _fundBy(Way way, Entry storage entry, uint16 bps, bytes memory signature) private returns (bytes32 id) {
        uint256 value = _prepaid(entry.terms, bps) + entry.terms.rules.deposit;
        if (way == Way.ALLOWANCE) return escrow.open(entry.terms, bps, signature);
        if (way == Way.BALANCE) return escrow.openFromBalance(entry.terms, bps, signature);
        if (way == Way.PERMIT) {
            id = escrow.openWithPermit(entry.terms, bps, signature, _permit(value));
            _allowAll();
            return id;
        }
        Authorization memory authorization = _authorization(value, _fund(entry.id, bps));
        return escrow.openWithAuthorization(entry.terms, bps, signature, authorization);
    }

    /// @dev Also after each permit, which replaced it.
    function _allowAll() private {
        vm.prank(vm.addr(RENTER));
        token.approve(address(escrow), type(uint256).max);
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
        (Reading memory first, bytes memory one) = _reading(entry.terms.pay.meter, entry.id, 4, 5, false);
        (Reading memory second, bytes memory other) = _reading(entry.terms.pay.meter, entry.id, 4, 6, false);
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
}
