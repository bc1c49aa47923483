// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

import {IDeviceUsers} from "../interfaces/IDeviceUsers.sol";
import {IERC4907} from "../interfaces/IERC4907.sol";
import {IRentalLedger} from "../interfaces/IRentalLedger.sol";
import {SignedTypes} from "../libraries/SignedTypes.sol";
import {Signatures} from "../libraries/Signatures.sol";
import {Detail, DeviceUser} from "../types/DeviceTypes.sol";
import {Status, Terms} from "../types/RentalTypes.sol";

/// @notice Who uses which device. Nothing here can move money: the escrow never asks.
abstract contract DeviceUsers is IDeviceUsers, ERC721 {
    bytes32 private constant DETAIL_TYPEHASH = keccak256(bytes(SignedTypes.DETAIL));

    IRentalLedger public immutable override escrow;
    mapping(uint256 device => DeviceUser) private _users;

    constructor(IRentalLedger rentals) {
        escrow = rentals;
    }

    /// @inheritdoc IDeviceUsers
    function mirrorUser(
        Terms calldata terms,
        Detail calldata detail,
        address user,
        bytes calldata signature
    ) external override {
        uint256 device = uint256(detail.device);
        _requireAgreed(terms, detail, _requireOwned(device));
        _requireRenter(terms, user);
        bytes32 rentalId = escrow.rentalIdOf(terms);
        _requireOwnersWord(terms, rentalId, signature);
        _requireFree(device);

        (bool isOpen, uint256 stopBy) = _rentalNow(rentalId, terms.pay.claim_window);
        if (!isOpen || block.timestamp > stopBy || block.timestamp < terms.pay.start_at) {
            revert DeviceRegistry_NotUnderWay(rentalId, terms.pay.start_at, stopBy);
        }
        _users[device] = DeviceUser({
            user: user,
            expires: 0,
            claim_window: terms.pay.claim_window,
            rental_id: rentalId
        });
        emit UserMirrored(device, rentalId, user);
        emit UpdateUser(device, user, uint64(stopBy));
    }

    /// @inheritdoc IERC4907
    function setUser(uint256 device, address user, uint64 expires) external override {
        if (!_isAuthorized(_requireOwned(device), msg.sender, device)) {
            revert DeviceRegistry_NotApproved(msg.sender, device);
        }
        _requireFree(device);
        _users[device] = DeviceUser({user: user, expires: expires, claim_window: 0, rental_id: 0});
        emit UpdateUser(device, user, expires);
    }

    /// @inheritdoc IERC4907
    function userOf(uint256 device) external view override returns (address) {
        return _userUntil(device) == 0 ? address(0) : _users[device].user;
    }

    /// @inheritdoc IERC4907
    function userExpires(uint256 device) external view override returns (uint256) {
        return _userUntil(device);
    }

    /// @inheritdoc IDeviceUsers
    function rentalOf(uint256 device) external view override returns (bytes32) {
        return _userUntil(device) == 0 ? bytes32(0) : _users[device].rental_id;
    }

    /// @inheritdoc ERC721
    function supportsInterface(bytes4 interfaceId) public view virtual override returns (bool) {
        return interfaceId == type(IERC4907).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev A user whom one owner set is nothing to the next. A rental's stays: the device was sold rented.
    function _update(address to, uint256 device, address auth) internal virtual override returns (address from) {
        from = super._update(to, device, auth);
        DeviceUser storage current = _users[device];
        if (current.rental_id == 0 && current.user != address(0)) {
            delete _users[device];
            emit UpdateUser(device, address(0), 0);
        }
    }

    /// @return until The last second of whoever uses the device now; zero if nobody does.
    function _userUntil(uint256 device) private view returns (uint256 until) {
        DeviceUser storage current = _users[device];
        if (current.rental_id == 0) {
            until = current.user == address(0) ? 0 : current.expires;
        } else {
            (bool isOpen, uint256 stopBy) = _rentalNow(current.rental_id, current.claim_window);
            until = isOpen ? stopBy : 0;
        }
        if (block.timestamp > until) until = 0;
    }

    function _rentalNow(bytes32 rentalId, uint32 claimWindow) private view returns (bool isOpen, uint256 stopBy) {
        (, , uint40 claimBy, , uint8 status) = escrow.rentals(rentalId);
        isOpen = status & Status.OPEN != 0;
        stopBy = isOpen ? claimBy - claimWindow : 0;
    }

    function _requireFree(uint256 device) private view {
        bytes32 rentalId = _users[device].rental_id;
        if (rentalId != 0 && _userUntil(device) != 0) revert DeviceRegistry_Rented(device, rentalId);
    }

    function _requireAgreed(Terms calldata terms, Detail calldata detail, address owner) private pure {
        bytes32 hash = _hashDetail(detail);
        if (hash != terms.rules.detail) revert DeviceRegistry_NotTheAgreement(hash, terms.rules.detail);
        if (Signatures.accountOf(owner) != terms.pay.owner) revert DeviceRegistry_OtherOwner(terms.pay.owner, owner);
    }

    function _requireRenter(Terms calldata terms, address user) private pure {
        bytes32 account = Signatures.accountOf(user);
        bool isRenter = account == terms.rules.renter || account == terms.pay.renter_agent;
        if (user == address(0) || !isRenter) revert DeviceRegistry_NotTheRenter(user);
    }

    function _requireOwnersWord(Terms calldata terms, bytes32 rentalId, bytes calldata signature) private view {
        bytes32 account;
        if (signature.length == 0) account = Signatures.accountOf(msg.sender);
        else (account, , ) = Signatures.anyAccount(rentalId, signature);
        if (account == 0 || (account != terms.pay.owner && account != terms.rules.owner_agent)) {
            revert DeviceRegistry_NotTheOwnersWord(account);
        }
    }

    function _hashDetail(Detail calldata detail) private pure returns (bytes32) {
        return
            keccak256(
                abi.encode(
                    DETAIL_TYPEHASH,
                    detail.device,
                    detail.offer,
                    detail.tariff,
                    keccak256(bytes(detail.rail)),
                    keccak256(bytes(detail.currency)),
                    detail.ceiling_seconds,
                    detail.grace,
                    detail.salt
                )
            );
    }
}
