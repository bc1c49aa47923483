// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Detail} from "../types/DeviceTypes.sol";
import {Terms} from "../types/RentalTypes.sol";
import {IERC4907} from "./IERC4907.sol";
import {IRentalLedger} from "./IRentalLedger.sol";

/// @notice Who uses which device (ERC-4907): whom a live rental names, or whom the owner set.
///
/// A rental's user is read from the escrow at each question: it ends with the rental, earlier if either side exits.
interface IDeviceUsers is IERC4907 {
    event UserMirrored(uint256 indexed device, bytes32 indexed rentalId, address user);

    error DeviceRegistry_NotApproved(address sender, uint256 device);
    error DeviceRegistry_NotTheAgreement(bytes32 detail, bytes32 agreed);
    error DeviceRegistry_NotTheOwnersWord(bytes32 account);
    error DeviceRegistry_NotTheRenter(address user);
    error DeviceRegistry_NotUnderWay(bytes32 rentalId, uint256 startAt, uint256 stopBy);
    error DeviceRegistry_OtherOwner(bytes32 agreed, address owner);
    error DeviceRegistry_Rented(uint256 device, bytes32 rentalId);

    /// @notice Shows a live rental's renter as the device's user. Anyone may send it.
    /// @param detail The members of the agreement's Detail, which the terms carry as its hash.
    /// @param user The renter's address, or its session key's.
    /// @param signature Of the agreement by the owner or its agent, without whose word anybody could rent from
    /// itself in the owner's name; empty if that is msg.sender.
    function mirrorUser(Terms calldata terms, Detail calldata detail, address user, bytes calldata signature) external;

    /// @notice The rental whose renter uses the device now; zero if there is none.
    function rentalOf(uint256 device) external view returns (bytes32 rentalId);

    /// @notice The escrow whose rentals are mirrored.
    function escrow() external view returns (IRentalLedger);
}
