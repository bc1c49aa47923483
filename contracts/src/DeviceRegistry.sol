// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {IDeviceRegistry} from "./interfaces/IDeviceRegistry.sol";
import {IRentalLedger} from "./interfaces/IRentalLedger.sol";
import {SignedTypes} from "./libraries/SignedTypes.sol";
import {Signatures} from "./libraries/Signatures.sol";
import {DeviceUsers} from "./registry/DeviceUsers.sol";

/// @title DeviceRegistry
/// @notice See {IDeviceRegistry}.
contract DeviceRegistry is IDeviceRegistry, DeviceUsers, EIP712 {
    mapping(bytes32 meterHash => uint256 device) public override deviceOf;
    mapping(uint256 device => bytes32) public override metadataOf;
    mapping(uint256 device => MeterKey[]) private _meters;

    constructor(IRentalLedger rentals) ERC721("Hireling Device", "HIRE") EIP712("Hireling", "1") DeviceUsers(rentals) {}

    /// @inheritdoc IDeviceRegistry
    function register(
        address owner,
        bytes calldata meter,
        bytes32 metadata,
        uint40 validUntil,
        bytes calldata signature
    ) external override returns (uint256 device) {
        if (owner == address(0)) revert DeviceRegistry_ZeroOwner();
        bytes32 meterHash = keccak256(meter);
        device = uint256(meterHash);
        _provePossession(owner, device, meterHash, metadata, validUntil, signature);
        _install(device, meterHash, meter);
        metadataOf[device] = metadata;
        emit DeviceRegistered(device, owner, meter, metadata);
        // The plain mint asks the owner nothing, so a wallet without a receiver hook can own devices too.
        _mint(owner, device);
    }

    /// @inheritdoc IDeviceRegistry
    function rotateMeter(
        uint256 device,
        bytes calldata meter,
        uint40 validUntil,
        bytes calldata signature
    ) external override {
        _requireSenderOwns(device);
        bytes32 meterHash = keccak256(meter);
        _provePossession(msg.sender, device, meterHash, 0, validUntil, signature);
        MeterKey storage current = _latest(device);
        if (current.until == 0) current.until = uint40(block.timestamp);
        _install(device, meterHash, meter);
        emit MeterRotated(device, meter);
    }

    /// @inheritdoc IDeviceRegistry
    function revokeMeter(uint256 device) external override {
        _requireSenderOwns(device);
        MeterKey storage current = _latest(device);
        if (current.until != 0) revert DeviceRegistry_NoMeterInForce(device);
        current.until = uint40(block.timestamp);
        emit MeterRevoked(device, current.signer);
    }

    /// @inheritdoc IDeviceRegistry
    function setMetadata(uint256 device, bytes32 metadata) external override {
        _requireSenderOwns(device);
        metadataOf[device] = metadata;
        emit MetadataChanged(device, metadata);
    }

    /// @inheritdoc IDeviceRegistry
    function meterOf(uint256 device) external view override returns (bytes memory) {
        if (_meters[device].length == 0) return "";
        MeterKey storage current = _latest(device);
        return current.until == 0 ? current.signer : bytes("");
    }

    /// @inheritdoc IDeviceRegistry
    function meterCount(uint256 device) external view override returns (uint256) {
        return _meters[device].length;
    }

    /// @inheritdoc IDeviceRegistry
    function meterAt(uint256 device, uint256 index) external view override returns (MeterKey memory) {
        if (index >= _meters[device].length) revert DeviceRegistry_NoSuchKey(device, index);
        return _meters[device][index];
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) public view override(DeviceUsers, IERC165) returns (bool) {
        return super.supportsInterface(interfaceId);
    }

    /// @dev The key signs who owns which device on which registry, what that device is and until when, so that a proof is worth
    /// nothing elsewhere: above all, nobody makes a device of its own of a key that is to be another's next.
    function _provePossession(
        address owner,
        uint256 device,
        bytes32 meterHash,
        bytes32 metadata,
        uint40 validUntil,
        bytes calldata signature
    ) private view {
        if (block.timestamp > validUntil) revert DeviceRegistry_Expired(block.timestamp, validUntil);
        bytes32 structHash = SignedTypes.hashPossession(owner, address(this), device, metadata, validUntil);
        bytes32 digest = _hashTypedDataV4(structHash);
        if (Signatures.statelessAccount(digest, signature) != meterHash) revert DeviceRegistry_PossessionNotProven();
    }

    function _install(uint256 device, bytes32 meterHash, bytes calldata meter) private {
        if (deviceOf[meterHash] != 0) revert DeviceRegistry_KeyAlreadyUsed(deviceOf[meterHash]);
        deviceOf[meterHash] = device;
        _meters[device].push(MeterKey({signer: meter, since: uint40(block.timestamp), until: 0}));
    }

    function _latest(uint256 device) private view returns (MeterKey storage) {
        return _meters[device][_meters[device].length - 1];
    }

    function _requireSenderOwns(uint256 device) private view {
        address owner = _requireOwned(device);
        if (msg.sender != owner) revert DeviceRegistry_NotOwner(msg.sender, owner);
    }
}
