// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IRentalMetering} from "../interfaces/IRentalMetering.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {PackedClaims, PackedRow} from "../libraries/PackedClaims.sol";
import {RentalWord} from "../libraries/RentalWords.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Claim, ClaimOutcome, Pay, Reading, Status} from "../types/RentalTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @notice Turns readings and ceilings into money.
abstract contract Metering is Ledger, IRentalMetering {
    /// @dev At less than 45,000 gas a row, P-256 included, a full batch stays below the 16.78 M that EIP-7825 allows.
    uint256 internal constant MAX_ROWS = 256;
    uint256 internal constant LOGGED_ROW = 64;

    /// @inheritdoc IRentalMetering
    function claim(Claim calldata row, address payee) external override nonReentrant {
        bytes32 separator = _domainSeparatorV4();
        bytes32 rentalId = MessageHashUtils.toTypedDataHash(
            separator,
            SignedTypes.hashAgreement(SignedTypes.hashPay(row.pay), row.rules)
        );
        RentalWord rental = _load(rentalId);
        ClaimOutcome whyNot = _whyNotNow(rental);
        if (whyNot != ClaimOutcome.CLAIMED) revert RentalEscrow_ClaimRefused(rentalId, whyNot);
        _requireSigned(row, rentalId, separator);
        uint256 ackAmount = row.ceiling.ack_amount;
        uint256 toOwner;
        (rental, toOwner) = _accrue(
            rentalId,
            _feeBps(row.pay),
            rental,
            row.reading.amount_due,
            row.ceiling.max_claimable,
            ackAmount,
            _limit(row.pay, rental, ackAmount)
        );
        if (RentalWord.unwrap(rental) == 0) revert RentalEscrow_ClaimRefused(rentalId, ClaimOutcome.NOTHING_NEW);
        emit Claimed(rentalId, uint96(rental.paid()), uint96(rental.tail()));
        _payOut(row.pay.token, row.pay.owner, payee, toOwner);
    }

    /// @inheritdoc IRentalMetering
    function claimPacked(bytes calldata batch) external override nonReentrant returns (bytes memory rows) {
        // Offsets and counts stay far below 2^256, and what the rows of a group bring is bounded by what the escrow holds.
        unchecked {
            rows = new bytes((batch.length / PackedClaims.SHORTEST_ROW) * LOGGED_ROW);
            PackedRow memory row;
            PackedClaims.prepare(row, _domainSeparatorV4());
            uint256 at = _offset(batch);
            uint256 end = at + batch.length;
            uint256 count = 0;
            while (at < end) {
                if (at + PackedClaims.GROUP_LENGTH > end) revert RentalEscrow_MalformedBatch();
                uint256 last = PackedClaims.readGroup(at, row);
                if (last == 0) revert RentalEscrow_MalformedBatch();
                last += count;
                if (last > MAX_ROWS) revert RentalEscrow_TooManyRows(last, MAX_ROWS);
                at += PackedClaims.GROUP_LENGTH;
                uint256 toOwner = 0;
                for (; count < last; ++count) {
                    uint256 flags = PackedClaims.flagsOfRow(at);
                    uint256 next = PackedClaims.endOfRow(at, flags);
                    if (next > end) revert RentalEscrow_MalformedBatch();
                    toOwner += _claimRow(at, flags, next, row, rows, count);
                    at = next;
                }
                _credit(row.token, row.owner, toOwner);
            }
            _cut(rows, count * LOGGED_ROW);
        }
        emit ClaimedMany(rows);
    }

    /// @inheritdoc IRentalMetering
    function voidTail(
        Pay calldata pay,
        bytes32 rules,
        Reading calldata first,
        bytes calldata firstSignature,
        Reading calldata second,
        bytes calldata secondSignature
    ) external override {
        bytes32 rentalId = _rentalId(pay, rules);
        RentalWord rental = _openRental(rentalId);
        if (rental.has(Status.VOID)) revert RentalEscrow_StatusForbids(rentalId, rental.status());
        _requireMeter(pay, rentalId, first, firstSignature);
        _requireMeter(pay, rentalId, second, secondSignature);
        if (!_contradict(first, second)) revert RentalEscrow_NoContradiction(first.seq, second.seq);

        emit TailVoided(rentalId, uint96(rental.tail()));
        // After the split the pot is counted from the tail, so it stays, without counting as owed.
        if (!rental.has(Status.SPLIT)) rental = rental.withSums(rental.paid(), 0);
        _store(rentalId, rental.with(Status.VOID));
    }

    /// @dev Answers by codes and calls nothing but precompiles, so that one row of a batch can neither stop nor starve the
    /// others.
    function _claimRow(
        uint256 at,
        uint256 flags,
        uint256 end,
        PackedRow memory row,
        bytes memory rows,
        uint256 index
    ) private returns (uint256 toOwner) {
        bytes32 rentalId = PackedClaims.readRow(at, flags, row);
        RentalWord rental = _load(rentalId);
        ClaimOutcome outcome = _whyNotNow(rental);
        uint256 logged = 0;
        if (outcome == ClaimOutcome.CLAIMED) {
            if (!PackedClaims.isMeterValid(at, flags, end, row)) {
                outcome = ClaimOutcome.BAD_METER_SIGNATURE;
            } else if (!PackedClaims.isRenterAgentValid(at, flags, end, row)) {
                outcome = ClaimOutcome.BAD_RENTER_AGENT_SIGNATURE;
            } else {
                (rental, toOwner) = _accrue(
                    rentalId,
                    row.feeBps,
                    rental,
                    row.amountDue,
                    row.maxClaimable,
                    row.ackAmount,
                    _limitOfRow(row, rental)
                );
                logged = (rental.paid() << 160) | (rental.tail() << 64);
                if (logged == 0) outcome = ClaimOutcome.NOTHING_NEW;
            }
        }
        logged |= uint256(outcome) << 56;
        assembly ("memory-safe") {
            let to := add(add(rows, 0x20), shl(6, index))
            mstore(to, rentalId)
            mstore(add(to, 0x20), logged)
        }
    }

    /// @dev Moves the rental on; what the owner gets bears the fee, which waits for the end.
    /// @return next The rental then, or zero if nothing is new. Something is owed by a rental that moved, so it is not zero.
    function _accrue(
        bytes32 rentalId,
        uint256 feeBps,
        RentalWord rental,
        uint256 amountDue,
        uint256 maxClaimable,
        uint256 ackAmount,
        uint256 limit
    ) private returns (RentalWord next, uint256 toOwner) {
        next = Accrual.accrue(rental, amountDue, maxClaimable, ackAmount, limit);
        if (RentalWord.unwrap(next) == RentalWord.unwrap(rental)) return (RentalWord.wrap(0), 0);
        _store(rentalId, next);
        (uint256 before, uint256 paid) = (rental.paid(), next.paid());
        // `paid` never falls, and the fee is a part of it.
        unchecked {
            toOwner = paid - before - (Accrual.fee(feeBps, paid) - Accrual.fee(feeBps, before));
        }
    }

    /// @dev Reads the terms as the words they are, here and below: those of an open rental were in range when it was opened, and
    /// its id is their hash.
    function _limit(Pay calldata pay, RentalWord rental, uint256 ackAmount) private view returns (uint256) {
        (uint256 maxTotal, uint256 blockMax, uint256 maxRatePerHour, uint256 startAt, uint256 claimWindow) = (0, 0, 0, 0, 0);
        assembly ("memory-safe") {
            maxTotal := calldataload(add(pay, 0xc0))
            blockMax := calldataload(add(pay, 0xe0))
            maxRatePerHour := calldataload(add(pay, 0x100))
            startAt := calldataload(add(pay, 0x120))
            claimWindow := calldataload(add(pay, 0x140))
        }
        return Accrual.bound(maxTotal, blockMax, maxRatePerHour, startAt, claimWindow, rental, ackAmount);
    }

    function _feeBps(Pay calldata pay) private pure returns (uint256 feeBps) {
        assembly ("memory-safe") {
            feeBps := calldataload(add(pay, 0xa0))
        }
    }

    function _limitOfRow(PackedRow memory row, RentalWord rental) private view returns (uint256) {
        return
            Accrual.bound(
                row.maxTotal,
                row.blockMax,
                row.maxRatePerHour,
                row.startAt,
                row.claimWindow,
                rental,
                row.ackAmount
            );
    }

    function _whyNotNow(RentalWord rental) private view returns (ClaimOutcome) {
        if (!rental.has(Status.OPEN)) return ClaimOutcome.NOT_OPEN;
        if (rental.has(Status.SPLIT)) return ClaimOutcome.ALREADY_SPLIT;
        return block.timestamp > rental.claimBy() ? ClaimOutcome.TOO_LATE : ClaimOutcome.CLAIMED;
    }

    function _requireSigned(Claim calldata row, bytes32 rentalId, bytes32 separator) private view {
        if (row.reading.rental_id != rentalId || row.ceiling.rental_id != rentalId) {
            revert RentalEscrow_ClaimRefused(rentalId, ClaimOutcome.OTHER_RENTAL);
        }
        bytes32 digest = MessageHashUtils.toTypedDataHash(separator, SignedTypes.hashReading(row.reading));
        if (!_signed(row.pay.meter, digest, row.meter_signature)) {
            revert RentalEscrow_ClaimRefused(rentalId, ClaimOutcome.BAD_METER_SIGNATURE);
        }
        digest = MessageHashUtils.toTypedDataHash(separator, SignedTypes.hashCeiling(row.ceiling));
        if (!_signed(row.pay.renter_agent, digest, row.renter_agent_signature)) {
            revert RentalEscrow_ClaimRefused(rentalId, ClaimOutcome.BAD_RENTER_AGENT_SIGNATURE);
        }
    }

    /// @dev An invalid signature answers zero, which must not match a key that is zero.
    function _signed(bytes32 key, bytes32 digest, bytes calldata signature) private view returns (bool) {
        bytes32 account = Signatures.statelessAccount(digest, signature);
        return account != 0 && account == key;
    }

    function _requireMeter(
        Pay calldata pay,
        bytes32 rentalId,
        Reading calldata reading,
        bytes calldata signature
    ) private view {
        if (reading.rental_id != rentalId) {
            revert RentalEscrow_ClaimRefused(reading.rental_id, ClaimOutcome.OTHER_RENTAL);
        }
        if (!_signed(pay.meter, _hashTypedDataV4(SignedTypes.hashReading(reading)), signature)) {
            revert RentalEscrow_InvalidSignature();
        }
    }

    function _contradict(Reading calldata first, Reading calldata second) private pure returns (bool) {
        if (first.seq == second.seq) return SignedTypes.hashReading(first) != SignedTypes.hashReading(second);
        return first.seq < second.seq && (first.last || first.amount_due > second.amount_due);
    }

    function _offset(bytes calldata data) private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := data.offset
        }
    }

    /// @dev Shortens bytes that were made long enough for any batch of this length.
    function _cut(bytes memory data, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }
}
