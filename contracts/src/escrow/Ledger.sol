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
        return _hashTypedDataV4(SignedTypes.hashAgreement(pay, rulesHash));
    }

    function _openRental(bytes32 rentalId) internal view returns (Rental memory rental) {
        rental = rentals[rentalId];
        if (rental.status & Status.OPEN == 0) {
            revert RentalEscrow_NotOpen(rentalId, rental.status);
        }
    }

    /// @dev Takes the fee on what becomes paid between two cumulative amounts; returns it.
    function _takeFee(Pay calldata pay, uint256 earlier, uint256 later) internal returns (uint96 fee) {
        fee = Accrual.feeBetween(pay.fee_bps, earlier, later);
        if (fee != 0) _credit(pay.token, Signatures.accountOf(pay.fee_to), fee);
    }

    /// @dev A finished id must not open again. Once it can no longer open, its slot is given back.
    function _finish(bytes32 rentalId, uint40 fundBy, uint96 paid) internal {
        if (block.timestamp > fundBy) {
            delete rentals[rentalId];
        } else {
            rentals[rentalId] = Rental({paid: paid, tail: 0, claim_by: 0, funded_bps: 0, status: Status.DONE});
        }
    }
}
