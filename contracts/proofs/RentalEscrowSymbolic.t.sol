// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {RentalEscrow} from "../src/RentalEscrow.sol";
import {Payees, Pay, Rental, Rules, Terms} from "../src/types/RentalTypes.sol";
import {Base} from "./Base.sol";

/// @notice The escrow, able to begin from any state of a rental.
contract EscrowFrom is RentalEscrow {
    function put(bytes32 rentalId, Rental calldata rental) external {
        rentals[rentalId] = rental;
    }
}

/// @notice For every state that a rental can be in, every time and every ruling: properties 2, 3, 8 and 10. The agreement's own
/// numbers are fixed, without a fee (solvers give up on its division; the fuzzed invariants take fees), and everything is credited.
contract RentalEscrowSymbolic is Base {
    uint8 private constant OPEN = 1;
    uint8 private constant DAMAGE = 2;
    uint8 private constant DISPUTE = 4;
    uint8 private constant VOID = 8;
    uint8 private constant SPLIT = 16;
    uint8 private constant DONE = 128;

    address private constant TOKEN = address(0x70);
    address private constant ARBITER = address(0xa1);
    address private constant PLATFORM = address(0xfe);
    bytes32 private constant OWNER = keccak256("owner");
    bytes32 private constant RENTER = keccak256("renter");
    uint96 private constant MAX_TOTAL = 100_000_000;
    uint96 private constant DEPOSIT = 20_000_009;
    uint96 private constant BOND = DEPOSIT / 10;
    uint40 private constant CLAIM_BY = 1_800_000_000;
    uint32 private constant CHALLENGE_WINDOW = 1 hours;
    uint256 private constant DISPUTE_BY = CLAIM_BY + CHALLENGE_WINDOW;
    uint256 private constant RULE_FROM = DISPUTE_BY + 48 hours;
    uint256 private constant RULE_BY = RULE_FROM + 7 days;

    EscrowFrom private escrow;
    Terms private terms;
    bytes32 private id;

    function setUp() public {
        // The prover has no P-256 precompile, and no check here needs one beyond its being there.
        vm.etch(address(0x100), hex"600160005260206000f3");
        escrow = new EscrowFrom();
        terms.pay = Pay(OWNER, 0, 0, TOKEN, PLATFORM, 0, MAX_TOTAL, 0, 0, CLAIM_BY - 5 hours, 1 hours);
        terms.rules = Rules(
            RENTER, 0, ARBITER, DEPOSIT, CLAIM_BY - 4 hours, CLAIM_BY - 1 hours, 0, CHALLENGE_WINDOW, 0
        );
        id = escrow.rentalIdOf(terms);
    }

    /// @dev Properties 2 and 3: a settlement pays out all that is held, to the base unit, or the uncontested part; and once.
    function check_SettlementPaysAllOnce(uint96 paid, uint96 tail, uint8 status, uint40 time) public {
        _begin(paid, tail, status, time);
        if (!_settled()) return;
        (, , , , uint8 later) = escrow.rentals(id);
        if (later & OPEN == 0) {
            _requirePaid(paid, tail, status);
            assert(_credit(OWNER) == _tailThatCounts(tail, status) + (status & DAMAGE != 0 ? BOND : 0));
            assert(!_settled());
        } else {
            uint256 refund = _held(paid, tail, status) - tail - (status & DAMAGE != 0 ? DEPOSIT + BOND : BOND);
            assert(_credit(RENTER) == refund && _credit(OWNER) == 0 && later == status | SPLIT);
        }
    }

    /// @dev Property 8: beyond the last deadline anyone's one call ends the rental, whatever its state.
    function check_AnyoneEndsItAfterTheLastDeadline(uint96 paid, uint96 tail, uint8 status, uint40 time) public {
        vm.assume(time > RULE_BY);
        _begin(paid, tail, status, time);
        assert(_settled());
        (, , , , uint8 later) = escrow.rentals(id);
        assert(later & OPEN == 0);
    }

    /// @dev Property 10: a ruling comes from the arbiter, in its time, of what is contested, and moves only that.
    function check_ArbiterIsBounded(
        address sender, uint96 paid, uint96 tail, uint8 status, uint40 time, uint96 toOwner, uint96 ofDeposit
    ) public {
        _begin(paid, tail, status, time);
        if (!_ruled(sender, toOwner, ofDeposit)) return;
        bool disputed = status & (DISPUTE | VOID) == DISPUTE;
        uint96 counts = _tailThatCounts(tail, status);
        assert(sender == ARBITER && time > RULE_FROM && time <= RULE_BY);
        assert(disputed || status & DAMAGE != 0);
        assert(toOwner <= counts && (disputed || toOwner == counts));
        assert(ofDeposit <= DEPOSIT && (ofDeposit == 0 || status & DAMAGE != 0));
    }

    /// @dev Properties 2 and 3: whatever is ruled, all that is held goes to the two sides, and the rental is at its end.
    function check_RulingPaysAll(uint96 paid, uint96 tail, uint8 status, uint96 toOwner, uint96 ofDeposit) public {
        _begin(paid, tail, status, uint40(RULE_BY));
        if (!_ruled(ARBITER, toOwner, ofDeposit)) return;
        _requirePaid(paid, tail, status);
        (, , , , uint8 later) = escrow.rentals(id);
        assert(later & OPEN == 0);
    }

    // ---- every reachable state

    function _begin(uint96 paid, uint96 tail, uint8 status, uint40 time) private {
        vm.assume(status & OPEN != 0 && status & DONE == 0 && status < 32);
        vm.assume(paid <= MAX_TOTAL && tail <= MAX_TOTAL - paid);
        // A dispute is of a tail and comes after the claims; so does the split.
        vm.assume(status & DISPUTE == 0 || status & VOID != 0 || tail != 0);
        vm.assume(status & (DISPUTE | SPLIT) == 0 || time > CLAIM_BY);
        // Only after the split does a void tail stay written, as a part of the pot.
        vm.assume(status & VOID == 0 || status & SPLIT != 0 || tail == 0);
        vm.warp(time);
        escrow.put(id, Rental(paid, tail, CLAIM_BY, 10_000, status));
    }

    function _settled() private returns (bool accepted) {
        (accepted, ) = address(escrow).call(abi.encodeCall(escrow.settle, (terms, Payees(address(0), address(0)))));
    }

    function _ruled(address sender, uint96 toOwner, uint96 ofDeposit) private returns (bool accepted) {
        bytes memory call = abi.encodeCall(escrow.rule, (terms, toOwner, ofDeposit, Payees(address(0), address(0))));
        vm.prank(sender);
        (accepted, ) = address(escrow).call(call);
    }

    /// @dev All that was held is now the two sides', and nobody else's.
    function _requirePaid(uint96 paid, uint96 tail, uint8 status) private view {
        assert(_credit(OWNER) + _credit(RENTER) == _held(paid, tail, status));
        assert(_credit(keccak256(abi.encodePacked(PLATFORM))) == 0);
    }

    function _held(uint96 paid, uint96 tail, uint8 status) private pure returns (uint256) {
        uint256 bond = status & DAMAGE != 0 ? BOND : 0;
        if (status & SPLIT == 0) return bond + MAX_TOTAL + DEPOSIT - paid;
        return bond + tail + (status & DAMAGE != 0 ? DEPOSIT : BOND);
    }

    function _tailThatCounts(uint96 tail, uint8 status) private pure returns (uint96) {
        return status & VOID != 0 ? 0 : tail;
    }

    function _credit(bytes32 account) private view returns (uint256 amount) {
        (amount, ) = escrow.balances(TOKEN, account);
    }
}
