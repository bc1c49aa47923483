// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice The part of an agreement that the escrow never reads. Members keep the names they are signed under.
struct Detail {
    /// @dev The device's token id.
    bytes32 device;
    /// @dev keccak256 of the offer's document.
    bytes32 offer;
    /// @dev keccak256 of the tariff's document.
    bytes32 tariff;
    string rail;
    string currency;
    /// @dev Seconds between two ceilings.
    uint32 ceiling_seconds;
    /// @dev Seconds a device goes on without one.
    uint32 grace;
    bytes32 salt;
}

/// @notice Who uses a device.
struct DeviceUser {
    // ----------------------------------------- slot 0
    address user;
    /// @dev Last Unix second of a user whom the owner set; zero where a rental is mirrored.
    uint64 expires;
    /// @dev Seconds between the mirrored rental's end and its last claim.
    uint32 claim_window;
    // ----------------------------------------- slot 1
    /// @dev The mirrored rental; zero if the owner set the user.
    bytes32 rental_id;
}
