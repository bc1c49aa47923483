// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IArbitrator} from "./IArbitrator.sol";

/// @notice What is ruled over, in the shape of ERC-792.
interface IArbitrable {
    /// @param ruling Zero: the arbitrator refused to rule.
    event Ruling(IArbitrator indexed arbitrator, uint256 indexed disputeId, uint256 ruling);

    /// @notice Takes the ruling on a dispute, once, from the arbitrator it was raised with.
    /// @param ruling Zero: the arbitrator refused to rule. Else 1 to the number of choices.
    function rule(uint256 disputeId, uint256 ruling) external;
}
