// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalBalances} from "./IRentalBalances.sol";
import {IRentalEndings} from "./IRentalEndings.sol";
import {IRentalFunding} from "./IRentalFunding.sol";
import {IRentalLedger} from "./IRentalLedger.sol";
import {IRentalMetering} from "./IRentalMetering.sol";

/// @title The escrow of metered rentals
/// @notice Holds a renter's prepayment and deposit, pays the owner what the device's meter and the renter's session key
/// both signed, and returns the rest. It has no owner, no pause and no upgrade. SPECIFICATION.md numbers its rules.
///
/// Everywhere: amounts are denoted in the token's base units, times in Unix seconds, shares in 1/10,000. An account is
/// keccak256 of its signer's bytes. An empty signature means "msg.sender is the signer". Terms travel with members of
/// type `bytes` as their keccak256 and nested structs as their hashStruct. A call is allowed while now <= its limit.
interface IRentalEscrow is IRentalBalances, IRentalLedger, IRentalFunding, IRentalMetering, IRentalEndings {}
