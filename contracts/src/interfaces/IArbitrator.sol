// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IArbitrable} from "./IArbitrable.sol";

/// @notice Who rules, in the shape of ERC-792.
interface IArbitrator {
    event DisputeCreation(uint256 indexed disputeId, IArbitrable indexed arbitrable);

    /// @notice Raises a dispute for the sender, who must be an {IArbitrable}.
    /// @param choices Rulings to choose from beside zero.
    /// @param extraData What the dispute is about, in the sender's words.
    function createDispute(uint256 choices, bytes calldata extraData) external payable returns (uint256 disputeId);

    /// @notice What raising a dispute costs, in wei.
    function arbitrationCost(bytes calldata extraData) external view returns (uint256 cost);
}
