// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalLedger} from "../interfaces/IRentalLedger.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Pay, Rental, Status, Terms} from "../types/RentalTypes.sol";
import {Balances} from "./Balances.sol";

/// @notice What the chain remembers of rentals.
abstract contract Ledger is Balances, IRentalLedger {
    mapping(bytes32 rentalId => Rental) public override rentals;

    /// @inheritdoc IRentalLedger
    function rentalIdOf(Terms calldata terms) external view override returns (bytes32) {
        return _rentalId(terms);
    }

    /// @dev The agreement's EIP-712 digest: terms that differ in any member are another rental.
    function _rentalId(Terms calldata terms) internal view returns (bytes32) {
        return _rentalId(terms.pay, SignedTypes.hashRules(terms.rules));
    }

    function _rentalId(Pay calldata pay, bytes32 rulesHash) internal view returns (bytes32) {
        return _hashTypedDataV4(SignedTypes.hashAgreement(SignedTypes.hashPay(pay), rulesHash));
    }

    function _openRental(bytes32 rentalId) internal view returns (Rental memory rental) {
        rental = _load(rentalId);
        if (rental.status & Status.OPEN == 0) {
            revert RentalEscrow_NotOpen(rentalId, rental.status);
        }
    }

    /// @dev Reads the slot as the one word it is; the compiler would read it once for each member.
    function _load(bytes32 rentalId) internal view returns (Rental memory rental) {
        Rental storage slot = rentals[rentalId];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(slot.slot)
        }
        rental.paid = uint96(word);
        rental.tail = uint96(word >> 96);
        rental.claim_by = uint40(word >> 192);
        rental.funded_bps = uint16(word >> 232);
        rental.status = uint8(word >> 248);
    }

    /// @dev Writes the slot as the one word it is, like {_load}.
    function _store(bytes32 rentalId, Rental memory rental) internal {
        uint256 word = uint256(rental.paid) |
            (uint256(rental.tail) << 96) |
            (uint256(rental.claim_by) << 192) |
            (uint256(rental.funded_bps) << 232) |
            (uint256(rental.status) << 248);
        Rental storage slot = rentals[rentalId];
        assembly ("memory-safe") {
            sstore(slot.slot, word)
        }
    }

    /// @dev Ends a rental of which `paid` is the final amount: remembers it and credits the whole fee, which until now was kept.
    /// @return fee The whole fee.
    /// @return added The part of it that what is paid now bears.
    function _finish(
        Terms calldata terms,
        bytes32 rentalId,
        uint96 before,
        uint96 paid
    ) internal returns (uint256 fee, uint256 added) {
        // A finished id must not open again. Once it can no longer open, its slot is given back.
        bool canOpen = block.timestamp <= terms.rules.fund_by;
        _store(rentalId, Rental(canOpen ? paid : 0, 0, 0, 0, canOpen ? Status.DONE : 0));
        fee = Accrual.fee(terms.pay.fee_bps, paid);
        added = fee - Accrual.fee(terms.pay.fee_bps, before);
        if (fee != 0) _credit(terms.pay.token, Signatures.accountOf(terms.pay.fee_to), fee);
    }
}
