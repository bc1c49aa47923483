// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Closing, Payees, Terms} from "../types/RentalTypes.sol";

/// @notice The ways out of a rental. From every state one of them is open to anyone in bounded time.
interface IRentalEndings {
    /// @param claimBy The new last second of claims; the rental ends claim_window before it.
    event Exited(bytes32 indexed rentalId, uint40 claimBy);
    event DamageClaimed(bytes32 indexed rentalId, uint96 amount, bytes32 evidence);
    event Disputed(bytes32 indexed rentalId, uint96 tail);
    /// @param refund What nobody contests, returned to the renter; the rest stays for the ruling or the deadline.
    event Split(bytes32 indexed rentalId, uint256 refund);
    /// @param use Cumulative gross price of the rental.
    /// @param toOwner What the owner got now, fee taken, damage and returned bond included.
    /// @param fee On the whole rental: it is credited once, at the end.
    event Closed(
        bytes32 indexed rentalId,
        uint96 use,
        uint96 damage,
        uint256 toOwner,
        uint256 fee,
        uint256 toRenter
    );
    /// @param paid Cumulative gross price of the rental.
    event Settled(bytes32 indexed rentalId, uint96 paid, uint256 toOwner, uint256 fee, uint256 toRenter);
    /// @param tailToOwner The gross part of the tail, and `depositToOwner` the part of the deposit, that the owner got.
    event Ruled(
        bytes32 indexed rentalId,
        uint96 tailToOwner,
        uint96 depositToOwner,
        uint256 toOwner,
        uint256 fee,
        uint256 toRenter
    );

    error RentalEscrow_NotArbiter(address sender, address arbiter);
    error RentalEscrow_NothingContested(bytes32 rentalId, uint8 status);
    error RentalEscrow_NothingToDispute(bytes32 rentalId, uint8 status);
    error RentalEscrow_TooEarly(uint256 nowAt, uint256 opensAfter);
    error RentalEscrow_WouldNotEndSooner(uint256 claimBy, uint256 current);

    /// @notice Ends the rental after `notice` seconds; irrevocable.
    /// @param signature Of Exit(rental_id) by the renter, the owner or either's agent; empty if that is msg.sender.
    function exit(Terms calldata terms, bytes calldata signature) external;

    /// @notice Ends the rental at once with what both sides signed, at any time before it is finished.
    /// @param ownerSignature Of Close by the owner or its agent; empty if that is msg.sender.
    /// @param renterSignature Of Close by the renter, or by its session key if damage is 0 and use within the rate cap; empty
    /// if that is msg.sender.
    /// @param payees Where to push, or zero to credit.
    function close(
        Terms calldata terms,
        Closing calldata closing,
        bytes calldata ownerSignature,
        bytes calldata renterSignature,
        Payees calldata payees
    ) external;

    /// @notice Takes the next step that time alone allows: the whole settlement where nothing is contested, the uncontested
    /// part where something is, the default split once the arbiter's time is over. Anyone may send it.
    /// @param payees Where to push, or zero to credit.
    function settle(Terms calldata terms, Payees calldata payees) external;

    /// @notice Claims damage while claims last. Takes the bond from the owner's balance.
    /// @param signature Of Damage by the owner or its agent; empty if that is msg.sender.
    function damage(Terms calldata terms, uint96 amount, bytes32 evidence, bytes calldata signature) external;

    /// @notice Disputes the tail, after claims have ended and within the challenge window. The bond is a part of the deposit.
    /// @param signature Of Dispute by the renter, possibly signed in advance; empty if the renter is msg.sender.
    function dispute(Terms calldata terms, bytes calldata signature) external;

    /// @notice Splits the tail and the deposit. The arbiter's, once, between 48 hours and 9 days after disputes have ended.
    /// @param tailToOwner The gross part of the tail that goes to the owner; all of it unless disputed.
    /// @param depositToOwner The part of the deposit that goes to the owner; 0 unless damage is claimed.
    /// @param payees Where to push, or zero to credit.
    function rule(Terms calldata terms, uint96 tailToOwner, uint96 depositToOwner, Payees calldata payees) external;
}
