// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {ArbitrationDesk} from "../src/ArbitrationDesk.sol";
import {IArbitrator} from "../src/interfaces/IArbitrator.sol";
import {Payees, Pay, Rental, Rules, Status, Terms} from "../src/types/RentalTypes.sol";
import {Base} from "./Base.sol";
import {EscrowFrom} from "./RentalEscrowSymbolic.t.sol";

/// @notice Whatever a rental's state and whatever is ruled: the escrow takes what the desk makes of it, and pays by the shares.
/// The test is the arbitrator. Without a fee, and everything is credited.
contract ArbitrationDeskFuzzed is Base {
    address private constant TOKEN = address(0x70);
    bytes32 private constant OWNER = keccak256("owner");
    bytes32 private constant RENTER = keccak256("renter");
    uint40 private constant CLAIM_BY = 1_800_000_000;
    uint40 private constant DISPUTE_BY = CLAIM_BY + 1 hours;
    uint256 private constant SHARES = 10_001;
    uint256 private constant DISPUTE_ID = 7;

    EscrowFrom private escrow;
    ArbitrationDesk private desk;
    Terms private terms;

    function setUp() public {
        vm.etch(address(0x100), hex"600160005260206000f3");
        escrow = new EscrowFrom();
        desk = new ArbitrationDesk(escrow, IArbitrator(address(this)));
    }

    function arbitrationCost(bytes calldata) external pure returns (uint256) {
        return 0;
    }

    function createDispute(uint256, bytes calldata) external payable returns (uint256) {
        return DISPUTE_ID;
    }

    /// @dev Property 10, for rulings that come through the desk.
    function testFuzz_AnyRulingIsCarriedOutByItsShares(
        uint80 maxTotal, uint80 deposit, uint96 paid, uint96 tail, uint8 status, uint256 ruling
    ) public {
        paid = uint96(paid % (uint256(maxTotal) + 1));
        tail = uint96(tail % (uint256(maxTotal) - paid + 1));
        status = Status.OPEN | (status & (Status.DAMAGE | Status.DISPUTE | Status.VOID | Status.SPLIT));
        bool disputed = status & (Status.DISPUTE | Status.VOID) == Status.DISPUTE;
        bool damaged = status & Status.DAMAGE != 0;
        vm.assume(disputed || damaged);
        // Without a tail there is nothing to dispute, and nothing to void afterwards.
        vm.assume(!disputed || tail != 0);
        ruling = 1 + (ruling % (SHARES * SHARES));
        uint256 held = _begin(maxTotal, deposit, Rental(paid, tail, CLAIM_BY, 10_000, status));

        _rule(ruling);
        vm.warp(DISPUTE_BY + 48 hours + 1);
        desk.carryOut(terms, Payees(address(0), address(0)));

        uint256 bond = deposit / 10;
        uint256 ofTail = status & Status.VOID != 0 ? 0 : tail;
        if (disputed) ofTail = (ofTail * ((ruling - 1) / SHARES)) / 10_000;
        uint256 stake = damaged ? deposit - (disputed ? bond : 0) : 0;
        uint256 ofDeposit = (stake * ((ruling - 1) % SHARES)) / 10_000;
        uint256 bonds = (disputed && ofTail == tail ? bond : 0) + (ofDeposit != 0 ? bond : 0);
        assert(_credit(OWNER) == ofTail + ofDeposit + bonds);
        assert(_credit(OWNER) + _credit(RENTER) == held);
    }

    /// @return held What the rental leaves to pay out, the owner's bond included.
    function _begin(uint96 maxTotal, uint96 deposit, Rental memory rental) private returns (uint256 held) {
        terms.pay = Pay(OWNER, 0, 0, TOKEN, address(0), 0, maxTotal, 0, 0, CLAIM_BY - 5 hours, 1 hours);
        terms.rules = Rules(
            RENTER, 0, address(desk), deposit, CLAIM_BY - 4 hours, CLAIM_BY - 1 hours, 0, 1 hours, 0
        );
        escrow.put(escrow.rentalIdOf(terms), rental);
        bool damaged = rental.status & Status.DAMAGE != 0;
        uint256 bond = deposit / 10;
        held = rental.status & Status.SPLIT != 0
            ? rental.tail + (damaged ? deposit : bond)
            : uint256(maxTotal) - rental.paid + deposit;
        if (damaged) held += bond;
    }

    function _rule(uint256 ruling) private {
        vm.warp(DISPUTE_BY + 1);
        assert(desk.raiseDispute(terms) == DISPUTE_ID);
        desk.rule(DISPUTE_ID, ruling);
    }

    function _credit(bytes32 account) private view returns (uint256 amount) {
        (amount, ) = escrow.balances(TOKEN, account);
    }
}
