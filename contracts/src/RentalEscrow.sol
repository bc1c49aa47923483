// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {Endings} from "./escrow/Endings.sol";
import {Funding} from "./escrow/Funding.sol";
import {Metering} from "./escrow/Metering.sol";
import {IRentalEscrow} from "./interfaces/IRentalEscrow.sol";

/// @title RentalEscrow
/// @notice See {IRentalEscrow}.
contract RentalEscrow is Funding, Metering, Endings, IRentalEscrow {
    constructor() EIP712("Hireling", "1") {}
}
