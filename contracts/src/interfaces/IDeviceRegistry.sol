// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {IDeviceUsers} from "./IDeviceUsers.sol";

/// @title Who owns which device, and which key it signs with
/// @notice A device is an ERC-721 token whose id is keccak256 of the meter key it registered with: a 20-byte address or a
/// 64-byte P-256 point. Rentals never read the registry: what was agreed keeps its meter and its payee.
interface IDeviceRegistry is IDeviceUsers, IERC721 {
    /// @notice A meter key and the time it was in force, in Unix seconds. `until` is 0 while it is.
    struct MeterKey {
        bytes signer;
        uint40 since;
        uint40 until;
    }

    event DeviceRegistered(uint256 indexed device, address indexed owner, bytes meter, bytes32 metadata);
    event MeterRotated(uint256 indexed device, bytes meter);
    event MeterRevoked(uint256 indexed device, bytes meter);
    event MetadataChanged(uint256 indexed device, bytes32 metadata);

    error DeviceRegistry_Expired(uint256 nowAt, uint256 validUntil);
    error DeviceRegistry_KeyAlreadyUsed(uint256 device);
    error DeviceRegistry_NoMeterInForce(uint256 device);
    error DeviceRegistry_NoSuchKey(uint256 device, uint256 index);
    error DeviceRegistry_NotOwner(address sender, address owner);
    error DeviceRegistry_PossessionNotProven();
    error DeviceRegistry_ZeroOwner();

    /// @notice Registers a device for `owner`. Anyone may send it: the meter key signed who owns it.
    /// @param meter The meter key, 20 or 64 bytes.
    /// @param metadata keccak256 of the device's Thing Description (RFC 8785 bytes). The owner can change it.
    /// @param validUntil Unix seconds.
    /// @param signature Of Possession(owner, registry, device, metadata, valid_until) by the meter key, in this registry's domain;
    /// the device is keccak256(meter).
    /// @return device The token id, keccak256(meter).
    function register(
        address owner,
        bytes calldata meter,
        bytes32 metadata,
        uint40 validUntil,
        bytes calldata signature
    ) external returns (uint256 device);

    /// @notice Replaces the meter key, or gives a device a key again whose key was revoked. The owner's.
    /// @param signature Of Possession(owner, registry, device, metadata, valid_until) by the new key, with this device and metadata
    /// zero. A key serves one device, once.
    function rotateMeter(uint256 device, bytes calldata meter, uint40 validUntil, bytes calldata signature) external;

    /// @notice Ends the meter key in force. The owner's.
    function revokeMeter(uint256 device) external;

    /// @notice Replaces the metadata hash. The owner's.
    function setMetadata(uint256 device, bytes32 metadata) external;

    /// @notice keccak256 of the device's description.
    function metadataOf(uint256 device) external view returns (bytes32);

    /// @notice The meter key in force; empty if it was revoked or the device does not exist.
    function meterOf(uint256 device) external view returns (bytes memory);

    /// @notice How many keys the device has had.
    function meterCount(uint256 device) external view returns (uint256);

    /// @notice The device's key number `index`, oldest first.
    function meterAt(uint256 device, uint256 index) external view returns (MeterKey memory);

    /// @notice The device a key belongs or belonged to, by keccak256 of the key; zero if none.
    function deviceOf(bytes32 meterHash) external view returns (uint256);
}
