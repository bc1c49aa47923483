// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

import {Accrual} from "../libraries/Accrual.sol";
import {RentalWord, RentalWords} from "../libraries/RentalWords.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {IRentalFunding} from "../interfaces/IRentalFunding.sol";
import {Authorization, Pay, Permit, Permit2Authorization, Rules, Status, Terms} from "../types/RentalTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @notice Opens rentals and raises their funding.
abstract contract Funding is Ledger, IRentalFunding {
    uint16 internal constant MAX_FEE_BPS = 1_000;
    uint256 internal constant MAX_DURATION = 366 days;
    uint256 internal constant MAX_NOTICE = 30 days;
    uint256 internal constant MIN_WINDOW = 1 hours;
    uint256 internal constant MAX_WINDOW = 30 days;

    /// @dev What a funding call has to pull, and from whom.
    struct Due {
        bytes32 rentalId;
        bytes32 account;
        address payer;
        uint256 amount;
    }

    /// @inheritdoc IRentalFunding
    function open(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature
    ) external override nonReentrant returns (bytes32) {
        Due memory due = _open(terms, fundedBps, signature);
        _pullAllowance(terms.pay.token, due);
        return due.rentalId;
    }

    /// @inheritdoc IRentalFunding
    function openWithPermit(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit calldata permit
    ) external override nonReentrant returns (bytes32) {
        Due memory due = _open(terms, fundedBps, signature);
        _usePermit(terms.pay.token, due.payer, permit);
        _pullAllowance(terms.pay.token, due);
        return due.rentalId;
    }

    /// @inheritdoc IRentalFunding
    function openWithAuthorization(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Authorization calldata authorization
    ) external override nonReentrant returns (bytes32) {
        Due memory due = _open(terms, fundedBps, signature);
        _pullFund(terms.pay.token, due, fundedBps, authorization);
        return due.rentalId;
    }

    /// @inheritdoc IRentalFunding
    function openWithPermit2(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit2Authorization calldata authorization
    ) external override nonReentrant returns (bytes32) {
        Due memory due = _open(terms, fundedBps, signature);
        _pullPermit2(terms.pay.token, due, fundedBps, authorization);
        return due.rentalId;
    }

    /// @inheritdoc IRentalFunding
    function openFromBalance(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature
    ) external override nonReentrant returns (bytes32) {
        Due memory due = _open(terms, fundedBps, signature);
        _debit(terms.pay.token, due.account, due.amount);
        return due.rentalId;
    }

    /// @inheritdoc IRentalFunding
    function topUp(Terms calldata terms, uint16 fundedBps, bytes calldata signature) external override nonReentrant {
        Due memory due = _topUp(terms, fundedBps, signature);
        _pullAllowance(terms.pay.token, due);
    }

    /// @inheritdoc IRentalFunding
    function topUpWithPermit(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit calldata permit
    ) external override nonReentrant {
        Due memory due = _topUp(terms, fundedBps, signature);
        _usePermit(terms.pay.token, due.payer, permit);
        _pullAllowance(terms.pay.token, due);
    }

    /// @inheritdoc IRentalFunding
    function topUpWithAuthorization(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Authorization calldata authorization
    ) external override nonReentrant {
        Due memory due = _topUp(terms, fundedBps, signature);
        _pullFund(terms.pay.token, due, fundedBps, authorization);
    }

    /// @inheritdoc IRentalFunding
    function topUpWithPermit2(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature,
        Permit2Authorization calldata authorization
    ) external override nonReentrant {
        Due memory due = _topUp(terms, fundedBps, signature);
        _pullPermit2(terms.pay.token, due, fundedBps, authorization);
    }

    /// @inheritdoc IRentalFunding
    function topUpFromBalance(
        Terms calldata terms,
        uint16 fundedBps,
        bytes calldata signature
    ) external override nonReentrant {
        Due memory due = _topUp(terms, fundedBps, signature);
        _debit(terms.pay.token, due.account, due.amount);
    }

    function _open(Terms calldata terms, uint16 fundedBps, bytes calldata signature) private returns (Due memory due) {
        _requireSoundTerms(terms);
        if (fundedBps == 0 || fundedBps > Accrual.BPS) {
            revert RentalEscrow_FundedBpsOutOfRange(fundedBps, 1, Accrual.BPS);
        }
        due.rentalId = _rentalId(terms);
        if (_load(due.rentalId).status() != 0) revert RentalEscrow_AlreadyKnown(due.rentalId);
        (due.account, due.payer) = _renterWhoFunds(terms.rules.renter, due.rentalId, fundedBps, signature);

        uint256 prepaid = Accrual.prepaid(terms.pay.max_total, fundedBps);
        // All were bounded.
        unchecked {
            due.amount = prepaid + terms.rules.deposit;
            uint256 claimBy = uint256(terms.rules.end_by) + terms.pay.claim_window;
            _store(due.rentalId, RentalWords.opened(claimBy, fundedBps, Status.OPEN));
        }
        emit Opened(due.rentalId, uint96(prepaid), fundedBps);
    }

    /// @dev The agreement's own signature says "all of it"; another share takes a Fund.
    function _renterWhoFunds(
        bytes32 renter,
        bytes32 rentalId,
        uint16 fundedBps,
        bytes calldata signature
    ) private view returns (bytes32 account, address payer) {
        bytes32 digest = fundedBps == Accrual.BPS
            ? rentalId
            : _hashTypedDataV4(SignedTypes.hashFund(rentalId, fundedBps));
        (account, payer, ) = _signerOfDigest(digest, signature);
        if (account != renter) revert RentalEscrow_Unauthorized(account);
    }

    function _topUp(Terms calldata terms, uint16 fundedBps, bytes calldata signature) private returns (Due memory due) {
        due.rentalId = _rentalId(terms);
        RentalWord rental = _openRental(due.rentalId);
        if (rental.has(Status.SPLIT)) revert RentalEscrow_StatusForbids(due.rentalId, rental.status());
        uint256 stopBy = rental.claimBy() - terms.pay.claim_window;
        if (block.timestamp > stopBy) revert RentalEscrow_Expired(block.timestamp, stopBy);
        uint256 before = rental.fundedBps();
        if (fundedBps <= before || fundedBps > Accrual.BPS) {
            revert RentalEscrow_FundedBpsOutOfRange(fundedBps, before + 1, Accrual.BPS);
        }
        (due.account, due.payer, ) = _signer(SignedTypes.hashFund(due.rentalId, fundedBps), signature);
        if (signature.length != 0 && due.account != terms.rules.renter) revert RentalEscrow_Unauthorized(due.account);

        uint256 prepaid = Accrual.prepaid(terms.pay.max_total, fundedBps);
        due.amount = prepaid - Accrual.prepaid(terms.pay.max_total, before);
        _store(due.rentalId, rental.withFundedBps(fundedBps));
        emit ToppedUp(due.rentalId, uint96(prepaid), uint96(due.amount), fundedBps);
    }

    function _requireSoundTerms(Terms calldata terms) private view {
        // Sums of small types in 256 bits.
        unchecked {
            Pay calldata pay = terms.pay;
            Rules calldata rules = terms.rules;
            // A fee that nobody can withdraw would be money lost.
            if (pay.token == address(0) || (pay.fee_bps != 0 && pay.fee_to == address(0))) revert RentalEscrow_ZeroAddress();
            if (pay.fee_bps > MAX_FEE_BPS) revert RentalEscrow_FeeTooHigh(pay.fee_bps, MAX_FEE_BPS);
            if (block.timestamp > rules.fund_by) revert RentalEscrow_Expired(block.timestamp, rules.fund_by);
            if (rules.fund_by > rules.end_by || pay.start_at > rules.end_by) {
                revert RentalEscrow_TimesOutOfOrder(pay.start_at, rules.fund_by, rules.end_by);
            }
            uint256 latestEnd = block.timestamp + MAX_DURATION;
            if (rules.end_by > latestEnd) revert RentalEscrow_EndTooFar(rules.end_by, latestEnd);
            _requireSoundWindow(pay.claim_window);
            _requireSoundWindow(rules.challenge_window);
            if (rules.notice > MAX_NOTICE) revert RentalEscrow_NoticeTooLong(rules.notice, MAX_NOTICE);
            _requireInRange(pay);
            uint256 funds = uint256(pay.max_total) + rules.deposit;
            if (funds > type(uint96).max) revert RentalEscrow_FundsTooLarge(funds, type(uint96).max);
        }
    }

    /// @dev Of the two members that opening does not use. Claims read them as they came, where a word beyond its type would be
    /// another number.
    function _requireInRange(Pay calldata pay) private pure {
        uint256 either;
        assembly ("memory-safe") {
            either := or(calldataload(add(pay, 0xe0)), calldataload(add(pay, 0x100))) // block_max, max_rate_per_hour
        }
        if (either > type(uint96).max) revert RentalEscrow_AmountOutOfRange(either, 0, type(uint96).max);
    }

    function _requireSoundWindow(uint32 window) private pure {
        if (window < MIN_WINDOW || window > MAX_WINDOW) {
            revert RentalEscrow_WindowOutOfRange(window, MIN_WINDOW, MAX_WINDOW);
        }
    }

    function _pullAllowance(address token, Due memory due) private {
        _requirePayer(due);
        _pull(token, due.payer, due.amount);
    }

    function _pullFund(
        address token,
        Due memory due,
        uint16 fundedBps,
        Authorization calldata authorization
    ) private {
        _requirePayer(due);
        bytes32 nonce = SignedTypes.hashFund(due.rentalId, fundedBps);
        _pullAuthorized(token, due.payer, due.amount, nonce, authorization);
    }

    function _pullPermit2(
        address token,
        Due memory due,
        uint16 fundedBps,
        Permit2Authorization calldata authorization
    ) private {
        _requirePayer(due);
        _pullThroughPermit2(
            token,
            due.payer,
            due.amount,
            SignedTypes.hashFund(due.rentalId, fundedBps),
            authorization
        );
    }

    function _requirePayer(Due memory due) private pure {
        if (due.payer == address(0)) revert RentalEscrow_NoAddressToPayFrom(due.account);
    }

    /// @dev Anyone can use a permit they have seen. If someone did, the allowance is there all the same, and the transfer
    /// that follows decides.
    function _usePermit(address token, address payer, Permit calldata permit) private {
        try IERC20Permit(token).permit(payer, address(this), permit.value, permit.deadline, permit.v, permit.r, permit.s) {
        } catch {}
    }
}
