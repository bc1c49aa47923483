// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {IArbitrationDesk} from "../interfaces/IArbitrationDesk.sol";
import {IRentalEscrow} from "../interfaces/IRentalEscrow.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Closing, Terms} from "../types/RentalTypes.sol";

/// @notice How two sides settle before a ruling. An offer is an event: the escrow's close takes its signature from there, so
/// nothing need be stored, and nothing can be replaced.
abstract contract SettlementOffers is IArbitrationDesk {
    IRentalEscrow public immutable override escrow;

    constructor(IRentalEscrow rentals) {
        escrow = rentals;
    }

    /// @inheritdoc IArbitrationDesk
    function offer(Terms calldata terms, Closing calldata closing, bytes calldata signature) external override {
        bytes32 rentalId = _ownRental(terms);
        if (block.timestamp > closing.valid_until) revert ArbitrationDesk_Expired(block.timestamp, closing.valid_until);
        (bytes32 account, , bool isStateless) = Signatures.anyAccount(_closeDigest(rentalId, closing), signature);
        if (!_mayClose(terms, account, isStateless)) revert ArbitrationDesk_NotAParty(account);
        emit Offered(rentalId, account, closing, signature);
    }

    /// @dev The rental's id. Reverts unless the terms leave the ruling to this contract.
    function _ownRental(Terms calldata terms) internal view returns (bytes32) {
        if (terms.rules.arbiter != address(this)) revert ArbitrationDesk_OtherArbiter(terms.rules.arbiter);
        return escrow.rentalIdOf(terms);
    }

    /// @dev In the escrow's domain, for its chain of now: what is shown is what the escrow closes with.
    function _closeDigest(bytes32 rentalId, Closing calldata closing) private view returns (bytes32) {
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address verifier, bytes32 salt, ) =
            IERC5267(address(escrow)).eip712Domain();
        bytes32 domain = MessageHashUtils.toDomainSeparator(fields, name, version, chainId, verifier, salt);
        return MessageHashUtils.toTypedDataHash(domain, SignedTypes.hashClose(rentalId, closing));
    }

    /// @dev As the escrow's close judges signers; zero is the signer of nothing valid.
    function _mayClose(Terms calldata terms, bytes32 account, bool isStateless) private pure returns (bool) {
        return
            account != 0 &&
            (account == terms.pay.owner ||
                account == terms.rules.owner_agent ||
                account == terms.rules.renter ||
                (isStateless && account == terms.pay.renter_agent));
    }
}
