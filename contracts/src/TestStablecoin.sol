// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";

/// @title TestStablecoin
/// @notice TEST ONLY: anyone may mint, so it is worth nothing. It behaves like the dollar tokens that rentals are paid in: six
/// decimals, EIP-2612 permit, ERC-3009 authorisations, domain "Hireling Test Dollar" version "1".
contract TestStablecoin is ERC20Permit, ERC3009 {
    constructor() ERC20("Hireling Test Dollar", "tUSD") ERC20Permit("Hireling Test Dollar") {}

    /// @notice TEST ONLY: makes `amount` base units (a millionth each) out of nothing.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
