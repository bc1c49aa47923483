// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalEscrow} from "../src/interfaces/IRentalEscrow.sol";
import {RentalEscrow} from "../src/RentalEscrow.sol";
import {TestStablecoin} from "../src/TestStablecoin.sol";
import {Base} from "./Base.sol";
import {Handler} from "./Handler.sol";
import {P256Precompile} from "./P256Precompile.sol";

/// @notice Random lives of several rentals; every call is one that must succeed (`fail_on_revert`).
contract RentalEscrowInvariants is Base {
    uint256 private constant STEPS = 2000;
    uint256 private constant ACTIONS = 16;

    event Reached(string action, uint256 times);

    RentalEscrow private escrow;
    TestStablecoin private token;
    Handler private handler;

    function setUp() public {
        vm.warp(1_800_000_000);
        vm.etch(address(0x100), type(P256Precompile).runtimeCode);
        escrow = new RentalEscrow();
        token = new TestStablecoin();
        handler = new Handler(IRentalEscrow(address(escrow)), token);
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](ACTIONS);
        for (uint256 i = 0; i < ACTIONS; ++i) selectors[i] = _selector(i);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev Property 1. Handler's steps demand properties 2 and 3 of each rental as it moves and ends.
    function invariant_holdsWhatItOwes() public view {
        require(
            token.balanceOf(address(escrow)) == handler.heldByRentals() + handler.heldByAccounts(),
            "the balance is not pots + fees held + bonds + credits"
        );
    }

    /// @dev Property 7.
    function invariant_owesWithinBounds() public view {
        handler.requireBounded();
    }

    /// @dev Property 8.
    function afterInvariant() public {
        _everyoneVanishes();
    }

    /// @dev A handler that never reaches an action proves nothing about it: the same steps by a fixed dice must reach all.
    function test_HandlersReachEveryAction() public {
        for (uint256 i = 0; i < STEPS; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("dice", i)));
            (bool done, ) = address(handler).call(abi.encodeWithSelector(_selector(seed % ACTIONS), seed >> 8));
            require(done, "a step that must succeed was refused");
        }
        string[18] memory actions = [
            "open", "openFromBalance", "openWithPermit", "openWithAuthorization", "topUp", "claim", "claimPacked",
            "claimPacked by P-256", "exit", "damage", "dispute", "voidTail", "close", "settle",
            "split", "rule", "withdraw", "time"
        ];
        for (uint256 i = 0; i < actions.length; ++i) emit Reached(actions[i], handler.reached(actions[i]));
        for (uint256 i = 0; i < actions.length; ++i) require(handler.reached(actions[i]) != 0, actions[i]);
        invariant_holdsWhatItOwes();
        _everyoneVanishes();
    }

    function _everyoneVanishes() private {
        handler.everyoneVanishes();
        require(token.balanceOf(address(escrow)) == handler.heldByAccounts(), "money stayed behind");
    }

    function _selector(uint256 index) private view returns (bytes4) {
        return [
            handler.open.selector, handler.openFromBalance.selector, handler.topUp.selector, handler.claim.selector,
            handler.exit.selector, handler.damage.selector, handler.dispute.selector, handler.voidTail.selector,
            handler.close.selector, handler.settle.selector, handler.rule.selector, handler.withdraw.selector,
            handler.time.selector, handler.claimPacked.selector, handler.openWithPermit.selector,
            handler.openWithAuthorization.selector
        ][index];
    }
}
