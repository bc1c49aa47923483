// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalLedger} from "../interfaces/IRentalLedger.sol";
import {Accrual} from "../libraries/Accrual.sol";
import {RentalWord, RentalWords} from "../libraries/RentalWords.sol";
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

    function _openRental(bytes32 rentalId) internal view returns (RentalWord rental) {
        rental = _load(rentalId);
        if (!rental.has(Status.OPEN)) {
            revert RentalEscrow_NotOpen(rentalId, rental.status());
        }
    }

    /// @dev Reads the slot as the one word it is; the compiler would read it once for each member.
    function _load(bytes32 rentalId) internal view returns (RentalWord rental) {
        Rental storage slot = rentals[rentalId];
        assembly ("memory-safe") {
            rental := sload(slot.slot)
        }
    }

    /// @dev Writes the slot as the one word it is, like {_load}.
    function _store(bytes32 rentalId, RentalWord rental) internal {
        Rental storage slot = rentals[rentalId];
        assembly ("memory-safe") {
            sstore(slot.slot, rental)
        }
    }

    /// @dev Ends a rental of which `paid` is the final amount: remembers it and credits the whole fee, which until now was kept.
    /// @return fee The whole fee.
    /// @return added The part of it that what is paid now bears.
    function _finish(
        Terms calldata terms,
        bytes32 rentalId,
        uint256 before,
        uint256 paid
    ) internal returns (uint256 fee, uint256 added) {
        // A finished id must not open again. Once it can no longer open, its slot is given back.
        bool canOpen = block.timestamp <= terms.rules.fund_by;
        _store(rentalId, canOpen ? RentalWords.ended(paid, Status.DONE) : RentalWord.wrap(0));
        uint256 feeBps = terms.pay.fee_bps;
        fee = Accrual.fee(feeBps, paid);
        // `paid` never falls, and so does not its fee.
        unchecked {
            added = fee - Accrual.fee(feeBps, before);
        }
        if (fee != 0) _credit(terms.pay.token, Signatures.accountOf(terms.pay.fee_to), fee);
    }
}
