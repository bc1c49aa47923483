// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

/// @notice A {Rental} as the one word of storage it is. On the stack it costs a third of what a struct in memory does.
type RentalWord is uint256;

using RentalWords for RentalWord global;

/// @notice Reads and changes the members of a rental. What they are and their units: {Rental}.
/// @dev Whoever writes a member makes sure that it fits.
library RentalWords {
    uint256 private constant TAIL_AT = 96;
    uint256 private constant CLAIM_BY_AT = 192;
    uint256 private constant FUNDED_BPS_AT = 232;
    uint256 private constant STATUS_AT = 248;

    /// @notice A rental that was opened and has paid nothing.
    function opened(uint256 claimBy_, uint256 fundedBps_, uint8 status_) internal pure returns (RentalWord) {
        return
            RentalWord.wrap((claimBy_ << CLAIM_BY_AT) | (fundedBps_ << FUNDED_BPS_AT) | (uint256(status_) << STATUS_AT));
    }

    /// @notice A rental that has ended.
    function ended(uint256 paid_, uint8 status_) internal pure returns (RentalWord) {
        return RentalWord.wrap(paid_ | (uint256(status_) << STATUS_AT));
    }

    function paid(RentalWord rental) internal pure returns (uint256) {
        return uint96(RentalWord.unwrap(rental));
    }

    function tail(RentalWord rental) internal pure returns (uint256) {
        return uint96(RentalWord.unwrap(rental) >> TAIL_AT);
    }

    function claimBy(RentalWord rental) internal pure returns (uint256) {
        return uint40(RentalWord.unwrap(rental) >> CLAIM_BY_AT);
    }

    function fundedBps(RentalWord rental) internal pure returns (uint256) {
        return uint16(RentalWord.unwrap(rental) >> FUNDED_BPS_AT);
    }

    function status(RentalWord rental) internal pure returns (uint8) {
        return uint8(RentalWord.unwrap(rental) >> STATUS_AT);
    }

    /// @notice Whether any of these bits of Status is set.
    function has(RentalWord rental, uint8 bits) internal pure returns (bool) {
        return RentalWord.unwrap(rental) & (uint256(bits) << STATUS_AT) != 0;
    }

    function withSums(RentalWord rental, uint256 paid_, uint256 tail_) internal pure returns (RentalWord) {
        uint256 rest = (RentalWord.unwrap(rental) >> CLAIM_BY_AT) << CLAIM_BY_AT;
        return RentalWord.wrap(rest | (tail_ << TAIL_AT) | paid_);
    }

    function withClaimBy(RentalWord rental, uint256 claimBy_) internal pure returns (RentalWord) {
        uint256 rest = RentalWord.unwrap(rental) & ~(uint256(type(uint40).max) << CLAIM_BY_AT);
        return RentalWord.wrap(rest | (claimBy_ << CLAIM_BY_AT));
    }

    function withFundedBps(RentalWord rental, uint256 fundedBps_) internal pure returns (RentalWord) {
        uint256 rest = RentalWord.unwrap(rental) & ~(uint256(type(uint16).max) << FUNDED_BPS_AT);
        return RentalWord.wrap(rest | (fundedBps_ << FUNDED_BPS_AT));
    }

    /// @notice The rental with these bits of Status set as well.
    function with(RentalWord rental, uint8 bits) internal pure returns (RentalWord) {
        return RentalWord.wrap(RentalWord.unwrap(rental) | (uint256(bits) << STATUS_AT));
    }
}
