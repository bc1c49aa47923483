// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalEndings} from "../interfaces/IRentalEndings.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {RentalWord} from "../libraries/RentalWords.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Closing, Payees, Rules, Status, Terms} from "../types/RentalTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @notice The ways out of a rental.
abstract contract Endings is Ledger, IRentalEndings {
    uint256 internal constant EVIDENCE_TIME = 48 hours;
    uint256 internal constant RULING_TIME = 7 days;

    /// @inheritdoc IRentalEndings
    function exit(Terms calldata terms, bytes calldata signature) external override {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        _requireParty(terms, SignedTypes.hashExit(rentalId), signature);

        uint256 claimBy = block.timestamp + terms.rules.notice + terms.pay.claim_window;
        uint256 before = rental.claimBy();
        if (claimBy >= before) revert RentalEscrow_WouldNotEndSooner(claimBy, before);
        _store(rentalId, rental.withClaimBy(claimBy));
        emit Exited(rentalId, uint40(claimBy));
    }

    /// @inheritdoc IRentalEndings
    function close(
        Terms calldata terms,
        Closing calldata closing,
        bytes calldata ownerSignature,
        bytes calldata renterSignature,
        Payees calldata payees
    ) external override nonReentrant {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        (uint256 due, uint256 toRenter) = _requireSoundClosing(terms, closing, rental);
        bytes32 digest = _hashTypedDataV4(SignedTypes.hashClose(rentalId, closing));
        _requireOwnerSide(terms, digest, ownerSignature);
        _requireRenterSide(terms, closing, rental, digest, renterSignature);

        (uint256 fee, uint256 added) = _finish(terms, rentalId, rental.paid(), closing.use);
        uint256 toOwner = due - added + _ownerBond(terms, rental);
        emit Closed(rentalId, closing.use, closing.damage, toOwner, fee, toRenter);
        _payBoth(terms, payees, toOwner, toRenter);
    }

    /// @inheritdoc IRentalEndings
    function settle(Terms calldata terms, Payees calldata payees) external override nonReentrant {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        uint256 claimBy = rental.claimBy();
        if (block.timestamp <= claimBy) revert RentalEscrow_TooEarly(block.timestamp, claimBy);

        uint256 finalAfter = _finalAfter(terms.rules, rental);
        if (block.timestamp > finalAfter) {
            _settleWhole(terms, payees, rentalId, rental);
        } else if (!rental.has(Status.SPLIT)) {
            _settleUncontestedPart(terms, payees, rentalId, rental);
        } else {
            revert RentalEscrow_TooEarly(block.timestamp, finalAfter);
        }
    }

    /// @inheritdoc IRentalEndings
    function damage(
        Terms calldata terms,
        uint96 amount,
        bytes32 evidence,
        bytes calldata signature
    ) external override {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        if (rental.has(Status.DAMAGE)) revert RentalEscrow_StatusForbids(rentalId, rental.status());
        if (block.timestamp > rental.claimBy()) revert RentalEscrow_Expired(block.timestamp, rental.claimBy());
        if (amount == 0 || amount > terms.rules.deposit) {
            revert RentalEscrow_AmountOutOfRange(amount, 1, terms.rules.deposit);
        }
        _requireOwnerSide(terms, _hashTypedDataV4(SignedTypes.hashDamage(rentalId, amount, evidence)), signature);

        _store(rentalId, rental.with(Status.DAMAGE));
        _debit(terms.pay.token, terms.pay.owner, Accrual.bond(terms.rules.deposit));
        emit DamageClaimed(rentalId, amount, evidence);
    }

    /// @inheritdoc IRentalEndings
    function dispute(Terms calldata terms, bytes calldata signature) external override {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        uint256 tail = rental.tail();
        if (tail == 0 || rental.has(Status.DISPUTE | Status.VOID)) {
            revert RentalEscrow_NothingToDispute(rentalId, rental.status());
        }
        uint256 claimBy = rental.claimBy();
        if (block.timestamp <= claimBy) revert RentalEscrow_TooEarly(block.timestamp, claimBy);
        uint256 disputeBy = _disputeBy(terms.rules, rental);
        if (block.timestamp > disputeBy) revert RentalEscrow_Expired(block.timestamp, disputeBy);
        (bytes32 account, , ) = _signer(SignedTypes.hashDispute(rentalId), signature);
        if (account != terms.rules.renter) revert RentalEscrow_Unauthorized(account);

        _store(rentalId, rental.with(Status.DISPUTE));
        emit Disputed(rentalId, uint96(tail));
    }

    /// @inheritdoc IRentalEndings
    function rule(
        Terms calldata terms,
        uint96 tailToOwner,
        uint96 depositToOwner,
        Payees calldata payees
    ) external override nonReentrant {
        bytes32 rentalId = _rentalId(terms);
        RentalWord rental = _openRental(rentalId);
        uint256 deposited = terms.rules.deposit;
        bool disputed = _isDisputed(rental);
        _requireRuling(terms, rentalId, rental, tailToOwner, depositToOwner, disputed);

        uint256 bond = Accrual.bond(deposited);
        uint256 fromPot = uint256(tailToOwner) + depositToOwner;
        if (disputed && tailToOwner == rental.tail()) fromPot += bond;
        uint256 toRenter = _pot(terms, rental) - fromPot;
        uint256 paid = rental.paid();
        (uint256 fee, uint256 added) = _finish(terms, rentalId, paid, paid + tailToOwner);
        uint256 toOwner = fromPot - added;
        if (depositToOwner != 0) toOwner += bond;
        else if (rental.has(Status.DAMAGE)) toRenter += bond;
        emit Ruled(rentalId, tailToOwner, depositToOwner, toOwner, fee, toRenter);
        _payBoth(terms, payees, toOwner, toRenter);
    }

    function _settleWhole(
        Terms calldata terms,
        Payees calldata payees,
        bytes32 rentalId,
        RentalWord rental
    ) private {
        uint256 tail = _tailThatCounts(rental);
        uint256 before = rental.paid();
        uint256 paid = before + tail;
        uint256 toRenter = _pot(terms, rental) - tail;
        (uint256 fee, uint256 added) = _finish(terms, rentalId, before, paid);
        uint256 toOwner = tail - added + _ownerBond(terms, rental);
        emit Settled(rentalId, uint96(paid), toOwner, fee, toRenter);
        _payBoth(terms, payees, toOwner, toRenter);
    }

    function _settleUncontestedPart(
        Terms calldata terms,
        Payees calldata payees,
        bytes32 rentalId,
        RentalWord rental
    ) private {
        uint256 kept = rental.tail() + Accrual.reserve(terms.rules.deposit, rental);
        uint256 refund = _pot(terms, rental) - kept;
        _store(rentalId, rental.with(Status.SPLIT));
        emit Split(rentalId, refund);
        _payOut(terms.pay.token, terms.rules.renter, payees.renter, refund);
    }

    /// @dev Time after which nothing more can be said about the rental.
    function _finalAfter(Rules calldata rules, RentalWord rental) private pure returns (uint256) {
        bool contested = rental.has(Status.DAMAGE) || _isDisputed(rental);
        if (contested) return _disputeBy(rules, rental) + EVIDENCE_TIME + RULING_TIME;
        return _tailThatCounts(rental) == 0 ? rental.claimBy() : _disputeBy(rules, rental);
    }

    function _disputeBy(Rules calldata rules, RentalWord rental) private pure returns (uint256) {
        return rental.claimBy() + rules.challenge_window;
    }

    function _isDisputed(RentalWord rental) private pure returns (bool) {
        return rental.status() & (Status.DISPUTE | Status.VOID) == Status.DISPUTE;
    }

    function _tailThatCounts(RentalWord rental) private pure returns (uint256) {
        return rental.has(Status.VOID) ? 0 : rental.tail();
    }

    function _pot(Terms calldata terms, RentalWord rental) private pure returns (uint256) {
        uint256 funded = Accrual.prepaid(terms.pay.max_total, rental.fundedBps());
        return Accrual.pot(funded, terms.rules.deposit, rental);
    }

    function _ownerBond(Terms calldata terms, RentalWord rental) private pure returns (uint256) {
        return rental.has(Status.DAMAGE) ? Accrual.bond(terms.rules.deposit) : 0;
    }

    function _payBoth(Terms calldata terms, Payees calldata payees, uint256 toOwner, uint256 toRenter) private {
        _payOut(terms.pay.token, terms.pay.owner, payees.owner, toOwner);
        _payOut(terms.pay.token, terms.rules.renter, payees.renter, toRenter);
    }

    /// @return due What the owner gets of the pot, the fee included.
    /// @return toRenter What is left of it.
    function _requireSoundClosing(
        Terms calldata terms,
        Closing calldata closing,
        RentalWord rental
    ) private view returns (uint256 due, uint256 toRenter) {
        if (block.timestamp > closing.valid_until) {
            revert RentalEscrow_Expired(block.timestamp, closing.valid_until);
        }
        uint256 paid = rental.paid();
        uint256 use = closing.use;
        uint256 funded = Accrual.prepaid(terms.pay.max_total, rental.fundedBps());
        if (use < paid || use > funded) revert RentalEscrow_AmountOutOfRange(use, paid, funded);
        uint256 deposited = terms.rules.deposit;
        uint256 damages = closing.damage;
        if (damages > deposited) revert RentalEscrow_AmountOutOfRange(damages, 0, deposited);
        // Amounts of 96 bits, each just compared with what it is taken from.
        unchecked {
            due = use - paid + damages;
            uint256 pot = Accrual.pot(funded, deposited, rental);
            if (due > pot) revert RentalEscrow_AmountOutOfRange(due, 0, pot);
            toRenter = pot - due;
        }
    }

    function _requireRuling(
        Terms calldata terms,
        bytes32 rentalId,
        RentalWord rental,
        uint96 tailToOwner,
        uint96 depositToOwner,
        bool disputed
    ) private view {
        if (msg.sender != terms.rules.arbiter) revert RentalEscrow_NotArbiter(msg.sender, terms.rules.arbiter);
        bool damaged = rental.has(Status.DAMAGE);
        if (!damaged && !disputed) revert RentalEscrow_NothingContested(rentalId, rental.status());
        uint256 ruleFrom = _disputeBy(terms.rules, rental) + EVIDENCE_TIME;
        if (block.timestamp <= ruleFrom) revert RentalEscrow_TooEarly(block.timestamp, ruleFrom);
        if (block.timestamp > ruleFrom + RULING_TIME) {
            revert RentalEscrow_Expired(block.timestamp, ruleFrom + RULING_TIME);
        }
        uint256 tail = _tailThatCounts(rental);
        if (tailToOwner > tail || (!disputed && tailToOwner != tail)) {
            revert RentalEscrow_AmountOutOfRange(tailToOwner, disputed ? 0 : tail, tail);
        }
        uint256 deposited = terms.rules.deposit;
        uint256 most = damaged ? deposited - (disputed ? Accrual.bond(deposited) : 0) : 0;
        if (depositToOwner > most) revert RentalEscrow_AmountOutOfRange(depositToOwner, 0, most);
    }

    function _requireParty(Terms calldata terms, bytes32 structHash, bytes calldata signature) private view {
        (bytes32 account, , bool isStateless) = _signer(structHash, signature);
        bool isParty = account == terms.rules.renter ||
            account == terms.pay.owner ||
            account == terms.rules.owner_agent ||
            (isStateless && account == terms.pay.renter_agent);
        if (!isParty) revert RentalEscrow_Unauthorized(account);
    }

    function _requireOwnerSide(Terms calldata terms, bytes32 digest, bytes calldata signature) private view {
        (bytes32 account, , ) = _signerOfDigest(digest, signature);
        if (account != terms.pay.owner && account != terms.rules.owner_agent) {
            revert RentalEscrow_Unauthorized(account);
        }
    }

    /// @dev The session key closes only what it could have let the device claim: no damage, within the rate cap.
    function _requireRenterSide(
        Terms calldata terms,
        Closing calldata closing,
        RentalWord rental,
        bytes32 digest,
        bytes calldata signature
    ) private view {
        (bytes32 account, , bool isStateless) = _signerOfDigest(digest, signature);
        if (account == terms.rules.renter) return;
        if (!isStateless || account != terms.pay.renter_agent) revert RentalEscrow_Unauthorized(account);
        if (closing.damage != 0) revert RentalEscrow_AmountOutOfRange(closing.damage, 0, 0);
        uint256 cap = Accrual.rateCap(
            terms.pay.block_max,
            terms.pay.max_rate_per_hour,
            terms.pay.start_at,
            terms.pay.claim_window,
            rental.claimBy()
        );
        if (closing.use > cap) revert RentalEscrow_AmountOutOfRange(closing.use, rental.paid(), cap);
    }
}
