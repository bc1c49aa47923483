// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IRentalMetering} from "../interfaces/IRentalMetering.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {PackedClaims, PackedRow, SignedBy} from "../libraries/PackedClaims.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Claim, ClaimOutcome, Pay, Reading, Rental, Status} from "../types/RentalTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @notice Turns readings and ceilings into money.
abstract contract Metering is Ledger, IRentalMetering {
    using PackedClaims for SignedBy;

    /// @dev At less than 45,000 gas a row, P-256 included, a full batch stays below the 16.78 M that EIP-7825 allows.
    uint256 internal constant MAX_ROWS = 256;
    uint256 internal constant LOGGED_ROW = 64;

    /// @inheritdoc IRentalMetering
    function claim(Claim calldata row, address payee) external override nonReentrant {
        bytes32 rentalId = _rentalId(row.pay, row.rules);
        Rental memory rental = _load(rentalId);
        ClaimOutcome outcome = _whyNot(row, rentalId, rental);
        if (outcome != ClaimOutcome.CLAIMED) revert RentalEscrow_ClaimRefused(rentalId, outcome);
        uint96 ackAmount = row.ceiling.ack_amount;
        uint256 limit = _limit(row.pay, rental, ackAmount);
        uint256 toOwner;
        (outcome, toOwner) = _accrue(
            rentalId,
            row.pay.fee_bps,
            rental,
            row.reading.amount_due,
            row.ceiling.max_claimable,
            ackAmount,
            limit
        );
        if (outcome != ClaimOutcome.CLAIMED) revert RentalEscrow_ClaimRefused(rentalId, outcome);
        emit Claimed(rentalId, rental.paid, rental.tail);
        _payOut(row.pay.token, row.pay.owner, payee, toOwner);
    }

    /// @inheritdoc IRentalMetering
    function claimPacked(bytes calldata batch) external override nonReentrant returns (ClaimOutcome[] memory outcomes) {
        bytes memory log = new bytes((batch.length / PackedClaims.SHORTEST_ROW) * LOGGED_ROW);
        PackedRow memory row;
        bytes32 separator = _domainSeparatorV4();
        uint256 at = _offset(batch);
        uint256 end = at + batch.length;
        uint256 count = 0;
        // Offsets and counts stay far below 2^256, and what the rows of a group bring is bounded by what the escrow holds.
        unchecked {
            while (at < end) {
                if (at + PackedClaims.GROUP_LENGTH > end) revert RentalEscrow_MalformedBatch();
                uint256 rows = PackedClaims.readGroup(at, row.pay);
                if (rows == 0) revert RentalEscrow_MalformedBatch();
                if (count + rows > MAX_ROWS) revert RentalEscrow_TooManyRows(count + rows, MAX_ROWS);
                at += PackedClaims.GROUP_LENGTH;
                uint256 toOwner = 0;
                for (uint256 last = count + rows; count < last; ++count) {
                    uint256 next = at + PackedClaims.lengthOfRow(at);
                    if (next > end) revert RentalEscrow_MalformedBatch();
                    PackedClaims.readRow(at, row);
                    toOwner += _claimRow(row, separator, log, count);
                    at = next;
                }
                _payOut(row.pay.token, row.pay.owner, address(0), toOwner);
            }
        }
        emit ClaimedMany(_cut(log, count * LOGGED_ROW));
        return _outcomes(log, count);
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
        Rental memory rental = _openRental(rentalId);
        if (rental.status & Status.VOID != 0) revert RentalEscrow_StatusForbids(rentalId, rental.status);
        _requireMeter(pay, rentalId, first, firstSignature);
        _requireMeter(pay, rentalId, second, secondSignature);
        if (!_contradict(first, second)) revert RentalEscrow_NoContradiction(first.seq, second.seq);

        emit TailVoided(rentalId, rental.tail);
        rental.status |= Status.VOID;
        // After the split the pot is counted from the tail, so it stays, without counting as owed.
        if (rental.status & Status.SPLIT == 0) rental.tail = 0;
        _store(rentalId, rental);
    }

    /// @dev Answers by codes and calls nothing but precompiles, so that one row of a batch can neither stop nor starve the
    /// others.
    function _claimRow(
        PackedRow memory row,
        bytes32 separator,
        bytes memory log,
        uint256 index
    ) private returns (uint256 toOwner) {
        bytes32 rentalId = MessageHashUtils.toTypedDataHash(
            separator,
            SignedTypes.hashAgreement(SignedTypes.hashPayInMemory(row.pay), row.rules)
        );
        (row.reading.rental_id, row.ceiling.rental_id) = (rentalId, rentalId);
        Rental memory rental = _load(rentalId);
        ClaimOutcome outcome = _whyNotNow(rental);
        if (outcome == ClaimOutcome.CLAIMED) outcome = _whyNotSigned(row, separator);
        if (outcome == ClaimOutcome.CLAIMED) {
            uint96 ackAmount = row.ceiling.ack_amount;
            (outcome, toOwner) = _accrue(
                rentalId,
                row.pay.fee_bps,
                rental,
                row.reading.amount_due,
                row.ceiling.max_claimable,
                ackAmount,
                _limitOfRow(row.pay, rental, ackAmount)
            );
        }
        uint256 logged = uint256(outcome) << 56;
        if (outcome == ClaimOutcome.CLAIMED) {
            logged |= (uint256(rental.paid) << 160) | (uint256(rental.tail) << 64);
        }
        assembly ("memory-safe") {
            let to := add(add(log, 0x20), shl(6, index))
            mstore(to, rentalId)
            mstore(add(to, 0x20), logged)
        }
    }

    /// @dev Moves the rental on, in memory and in its slot; what the owner gets bears the fee, which waits for the end.
    function _accrue(
        bytes32 rentalId,
        uint16 feeBps,
        Rental memory rental,
        uint96 amountDue,
        uint96 maxClaimable,
        uint96 ackAmount,
        uint256 limit
    ) private returns (ClaimOutcome outcome, uint256 toOwner) {
        uint96 before = rental.paid;
        (uint96 paid, uint96 tail) = Accrual.accrue(rental, amountDue, maxClaimable, ackAmount, limit);
        if (paid == before && tail == rental.tail) return (ClaimOutcome.NOTHING_NEW, 0);
        (rental.paid, rental.tail) = (paid, tail);
        _store(rentalId, rental);
        // `paid` never falls, and the fee is a part of it.
        unchecked {
            toOwner = paid - before - (Accrual.fee(feeBps, paid) - Accrual.fee(feeBps, before));
        }
        return (ClaimOutcome.CLAIMED, toOwner);
    }

    function _limit(Pay calldata pay, Rental memory rental, uint96 ackAmount) private view returns (uint256) {
        return
            Accrual.bound(
                pay.max_total,
                pay.block_max,
                pay.max_rate_per_hour,
                pay.start_at,
                pay.claim_window,
                rental,
                ackAmount
            );
    }

    function _limitOfRow(Pay memory pay, Rental memory rental, uint96 ackAmount) private view returns (uint256) {
        return
            Accrual.bound(
                pay.max_total,
                pay.block_max,
                pay.max_rate_per_hour,
                pay.start_at,
                pay.claim_window,
                rental,
                ackAmount
            );
    }

    function _whyNotNow(Rental memory rental) private view returns (ClaimOutcome) {
        if (rental.status & Status.OPEN == 0) return ClaimOutcome.NOT_OPEN;
        if (rental.status & Status.SPLIT != 0) return ClaimOutcome.ALREADY_SPLIT;
        return block.timestamp > rental.claim_by ? ClaimOutcome.TOO_LATE : ClaimOutcome.CLAIMED;
    }

    function _whyNot(Claim calldata row, bytes32 rentalId, Rental memory rental) private view returns (ClaimOutcome outcome) {
        outcome = _whyNotNow(rental);
        if (outcome != ClaimOutcome.CLAIMED) return outcome;
        if (row.reading.rental_id != rentalId || row.ceiling.rental_id != rentalId) return ClaimOutcome.OTHER_RENTAL;
        bytes32 digest = _hashTypedDataV4(SignedTypes.hashReading(row.reading));
        if (!_signed(row.pay.meter, digest, row.meter_signature)) return ClaimOutcome.BAD_METER_SIGNATURE;
        digest = _hashTypedDataV4(SignedTypes.hashCeiling(row.ceiling));
        if (!_signed(row.pay.renter_agent, digest, row.renter_agent_signature)) {
            return ClaimOutcome.BAD_RENTER_AGENT_SIGNATURE;
        }
    }

    function _whyNotSigned(PackedRow memory row, bytes32 separator) private view returns (ClaimOutcome) {
        bytes32 digest = MessageHashUtils.toTypedDataHash(separator, SignedTypes.hashReadingInMemory(row.reading));
        if (!row.meter.isValid(digest)) return ClaimOutcome.BAD_METER_SIGNATURE;
        digest = MessageHashUtils.toTypedDataHash(separator, SignedTypes.hashCeilingInMemory(row.ceiling));
        return row.renterAgent.isValid(digest) ? ClaimOutcome.CLAIMED : ClaimOutcome.BAD_RENTER_AGENT_SIGNATURE;
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
    function _cut(bytes memory data, uint256 length) private pure returns (bytes memory) {
        assembly ("memory-safe") {
            mstore(data, length)
        }
        return data;
    }

    function _outcomes(bytes memory log, uint256 count) private pure returns (ClaimOutcome[] memory outcomes) {
        outcomes = new ClaimOutcome[](count);
        assembly ("memory-safe") {
            let to := add(outcomes, 0x20)
            // A row's second word has its outcome in byte 24.
            let from := add(log, 0x40)
            for { let end := add(from, shl(6, count)) } lt(from, end) { from := add(from, 0x40) } {
                mstore(to, byte(24, mload(from)))
                to := add(to, 0x20)
            }
        }
    }
}
