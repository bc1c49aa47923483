// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Terms} from "../types/RentalTypes.sol";

/// @notice What the chain remembers of rentals.
interface IRentalLedger {
    error RentalEscrow_AmountOutOfRange(uint256 amount, uint256 minimum, uint256 maximum);
    error RentalEscrow_NotOpen(bytes32 rentalId, uint8 status);
    /// @notice The rental is open, but was brought into a state that excludes the call.
    error RentalEscrow_StatusForbids(bytes32 rentalId, uint8 status);

    /// @notice What the chain remembers of a rental; all zero if it never opened, or finished and was forgotten.
    /// @return paid Cumulative gross amount that is final.
    /// @return tail What is owed beyond `paid`, waiting out the challenge window.
    /// @return claim_by Last second of claims.
    /// @return funded_bps Share of max_total that is funded.
    /// @return status Bits: OPEN 1, DAMAGE 2, DISPUTE 4, VOID 8, SPLIT 16, DONE 128.
    function rentals(
        bytes32 rentalId
    ) external view returns (uint96 paid, uint96 tail, uint40 claim_by, uint16 funded_bps, uint8 status);

    /// @notice The id of a rental under these terms: the agreement's EIP-712 digest, which both sides sign.
    function rentalIdOf(Terms calldata terms) external view returns (bytes32 rentalId);
}
