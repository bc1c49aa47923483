// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {SettlementOffers} from "./arbitration/SettlementOffers.sol";
import {IArbitrable} from "./interfaces/IArbitrable.sol";
import {IArbitrationDesk} from "./interfaces/IArbitrationDesk.sol";
import {IArbitrator} from "./interfaces/IArbitrator.sol";
import {IRentalEscrow} from "./interfaces/IRentalEscrow.sol";
import {Accrual} from "./libraries/Accrual.sol";
import {Payees, Status, Terms} from "./types/RentalTypes.sol";

/// @title ArbitrationDesk
/// @notice See {IArbitrationDesk}.
contract ArbitrationDesk is SettlementOffers {
    struct RaisedDispute {
        // ----------------------------------------- slot 0
        uint256 disputeId;
        // ----------------------------------------- slot 1
        bool isRaised;
        bool isRuled;
        uint32 ruling;
    }

    /// @dev Shares run from 0 to 10,000: one more than BPS values.
    uint256 private constant SHARES = Accrual.BPS + 1;
    uint256 private constant CHOICES = SHARES * SHARES;

    IArbitrator public immutable override arbitrator;
    mapping(bytes32 rentalId => RaisedDispute) public override disputeOf;
    mapping(uint256 disputeId => bytes32 rentalId) private _rentalOf;

    constructor(IRentalEscrow rentals, IArbitrator ruledBy) SettlementOffers(rentals) {
        arbitrator = ruledBy;
    }

    /// @inheritdoc IArbitrationDesk
    function raiseDispute(Terms calldata terms) external payable override returns (uint256 disputeId) {
        bytes32 rentalId = _ownRental(terms);
        RaisedDispute storage dispute = disputeOf[rentalId];
        if (dispute.isRaised) revert ArbitrationDesk_AlreadyRaised(rentalId, dispute.disputeId);
        _requireContested(terms, rentalId);
        // Names the rental, so that what the arbitrator is asked cannot be taken for another's.
        bytes memory subject = abi.encode(rentalId);
        uint256 cost = arbitrator.arbitrationCost(subject);
        if (msg.value != cost) revert ArbitrationDesk_WrongFee(msg.value, cost);

        // Before the call: an arbitrator that calls back raises nothing twice, and rules on nothing yet.
        dispute.isRaised = true;
        disputeId = arbitrator.createDispute{value: cost}({choices: CHOICES, extraData: subject});
        if (_rentalOf[disputeId] != 0) revert ArbitrationDesk_DisputeIdTaken(disputeId, _rentalOf[disputeId]);
        dispute.disputeId = disputeId;
        _rentalOf[disputeId] = rentalId;
        emit DisputeRaised(rentalId, disputeId);
    }

    /// @inheritdoc IArbitrable
    function rule(uint256 disputeId, uint256 ruling) external override {
        if (msg.sender != address(arbitrator)) {
            revert ArbitrationDesk_NotArbitrator(msg.sender, address(arbitrator));
        }
        bytes32 rentalId = _rentalOf[disputeId];
        if (rentalId == 0) revert ArbitrationDesk_NoSuchDispute(disputeId);
        RaisedDispute storage dispute = disputeOf[rentalId];
        if (dispute.isRuled) revert ArbitrationDesk_AlreadyRuled(disputeId, dispute.ruling);
        if (ruling > CHOICES) revert ArbitrationDesk_RulingOutOfRange(ruling, CHOICES);
        dispute.isRuled = true;
        // At most 10,001 squared, which has 27 bits.
        dispute.ruling = uint32(ruling);
        emit Ruling(arbitrator, disputeId, ruling);
    }

    /// @inheritdoc IArbitrationDesk
    function carryOut(Terms calldata terms, Payees calldata payees) external override {
        bytes32 rentalId = _ownRental(terms);
        uint32 ruling = disputeOf[rentalId].ruling;
        // A refusal leaves the rental to the escrow's default.
        if (ruling == 0) revert ArbitrationDesk_NoRuling(rentalId);
        (uint96 tailToOwner, uint96 depositToOwner) = _split(terms, rentalId, ruling - 1);
        // The escrow ends the rental: there is no second time.
        escrow.rule({terms: terms, tailToOwner: tailToOwner, depositToOwner: depositToOwner, payees: payees});
    }

    /// @inheritdoc IArbitrationDesk
    function submitEvidence(bytes32 rentalId, string calldata evidence) external override {
        emit Evidence(arbitrator, uint256(rentalId), msg.sender, evidence);
    }

    /// @inheritdoc IArbitrationDesk
    function rulingOf(uint256 tailShare, uint256 depositShare) external pure override returns (uint256) {
        if (tailShare > Accrual.BPS) revert ArbitrationDesk_ShareOutOfRange(tailShare, Accrual.BPS);
        if (depositShare > Accrual.BPS) revert ArbitrationDesk_ShareOutOfRange(depositShare, Accrual.BPS);
        return 1 + tailShare * SHARES + depositShare;
    }

    /// @dev Reads the rental as it stands: a tail that was voided since the ruling counts for nothing.
    function _split(
        Terms calldata terms,
        bytes32 rentalId,
        uint256 shares
    ) private view returns (uint96 tailToOwner, uint96 depositToOwner) {
        (, uint96 tail, , , uint8 status) = escrow.rentals(rentalId);
        bool disputed = _isDisputed(status);
        if (disputed) tailToOwner = _share(tail, shares / SHARES);
        else if (status & Status.VOID == 0) tailToOwner = tail;
        if (status & Status.DAMAGE != 0) {
            uint256 deposit = terms.rules.deposit;
            depositToOwner = _share(disputed ? deposit - Accrual.bond(deposit) : deposit, shares % SHARES);
        }
    }

    function _requireContested(Terms calldata terms, bytes32 rentalId) private view {
        (, , uint40 claimBy, , uint8 status) = escrow.rentals(rentalId);
        bool contested = status & Status.DAMAGE != 0 || _isDisputed(status);
        // A finished rental has no such bits.
        if (!contested) revert ArbitrationDesk_NotContested(rentalId, status);
        uint256 disputeBy = uint256(claimBy) + terms.rules.challenge_window;
        if (block.timestamp <= disputeBy) revert ArbitrationDesk_TooEarly(block.timestamp, disputeBy);
    }

    function _isDisputed(uint8 status) private pure returns (bool) {
        return status & (Status.DISPUTE | Status.VOID) == Status.DISPUTE;
    }

    function _share(uint256 whole, uint256 bps) private pure returns (uint96) {
        // At most the whole, which is an amount of 96 bits.
        return uint96((whole * bps) / Accrual.BPS);
    }
}
