// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalMetering} from "../interfaces/IRentalMetering.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Claim, ClaimOutcome, Pay, Reading, Rental, Status} from "../types/RentalTypes.sol";
import {Ledger} from "./Ledger.sol";

/// @notice Turns readings and ceilings into money.
abstract contract Metering is Ledger, IRentalMetering {
    /// @dev At about 37,000 gas a row a full batch stays below the 16.78 M that EIP-7825 allows a transaction.
    uint256 internal constant MAX_ROWS = 256;

    /// @inheritdoc IRentalMetering
    function claim(Claim calldata row, address payee) external override nonReentrant {
        (bytes32 rentalId, ClaimOutcome outcome, uint96 toOwner) = _claim(row);
        if (outcome != ClaimOutcome.CLAIMED) revert RentalEscrow_ClaimRefused(rentalId, outcome);
        _payOut(row.pay.token, row.pay.owner, payee, toOwner);
    }

    /// @inheritdoc IRentalMetering
    function claimMany(
        Claim[] calldata rows
    ) external override nonReentrant returns (ClaimOutcome[] memory outcomes) {
        if (rows.length > MAX_ROWS) revert RentalEscrow_TooManyRows(rows.length, MAX_ROWS);
        outcomes = new ClaimOutcome[](rows.length);
        for (uint256 i = 0; i < rows.length; ++i) {
            (bytes32 rentalId, ClaimOutcome outcome, uint96 toOwner) = _claim(rows[i]);
            outcomes[i] = outcome;
            if (outcome == ClaimOutcome.CLAIMED) {
                _payOut(rows[i].pay.token, rows[i].pay.owner, address(0), toOwner);
            } else {
                emit ClaimRefused(rentalId, outcome);
            }
        }
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

        Rental storage slot = rentals[rentalId];
        slot.status = rental.status | Status.VOID;
        // After the split the pot is counted from the tail, so it stays, without counting as owed.
        if (rental.status & Status.SPLIT == 0) slot.tail = 0;
        emit TailVoided(rentalId, rental.tail);
    }

    /// @dev Answers by codes and makes no call to another contract but precompiles, so that one row of a batch can neither
    /// stop nor starve the others.
    function _claim(
        Claim calldata row
    ) private returns (bytes32 rentalId, ClaimOutcome outcome, uint96 toOwner) {
        rentalId = _rentalId(row.pay, row.rules);
        Rental memory rental = rentals[rentalId];
        outcome = _whyNot(row, rentalId, rental);
        if (outcome != ClaimOutcome.CLAIMED) return (rentalId, outcome, 0);

        (uint96 paid, uint96 tail) = Accrual.accrue({
            pay: row.pay,
            rental: rental,
            amountDue: row.reading.amount_due,
            maxClaimable: row.ceiling.max_claimable,
            ackAmount: row.ceiling.ack_amount
        });
        if (paid == rental.paid && tail == rental.tail) return (rentalId, ClaimOutcome.NOTHING_NEW, 0);

        uint96 paidDelta = paid - rental.paid;
        uint96 feeDelta = _takeFee(row.pay, rental.paid, paid);
        (rental.paid, rental.tail) = (paid, tail);
        rentals[rentalId] = rental;
        emit Claimed(rentalId, paid, tail, paidDelta, feeDelta);
        return (rentalId, ClaimOutcome.CLAIMED, paidDelta - feeDelta);
    }

    function _whyNot(
        Claim calldata row,
        bytes32 rentalId,
        Rental memory rental
    ) private view returns (ClaimOutcome) {
        if (rental.status & Status.OPEN == 0) return ClaimOutcome.NOT_OPEN;
        if (rental.status & Status.SPLIT != 0) return ClaimOutcome.ALREADY_SPLIT;
        if (block.timestamp > rental.claim_by) return ClaimOutcome.TOO_LATE;
        if (row.reading.rental_id != rentalId || row.ceiling.rental_id != rentalId) return ClaimOutcome.OTHER_RENTAL;
        bytes32 digest = _hashTypedDataV4(SignedTypes.hashReading(row.reading));
        if (!_signed(row.pay.meter, digest, row.meter_signature)) return ClaimOutcome.BAD_METER_SIGNATURE;
        digest = _hashTypedDataV4(SignedTypes.hashCeiling(row.ceiling));
        if (!_signed(row.pay.renter_agent, digest, row.renter_agent_signature)) {
            return ClaimOutcome.BAD_RENTER_AGENT_SIGNATURE;
        }
        return ClaimOutcome.CLAIMED;
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
}
