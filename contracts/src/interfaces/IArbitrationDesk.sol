// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Closing, Payees, Terms} from "../types/RentalTypes.sol";
import {IArbitrable} from "./IArbitrable.sol";
import {IArbitrator} from "./IArbitrator.sol";
import {IRentalEscrow} from "./IRentalEscrow.sol";

/// @title The arbiter of rentals that leave the ruling to an ERC-792 arbitrator
/// @notice Its address stands in the terms. It raises what is contested with the arbitrator it was built with, turns the
/// ruling into a split and carries it to the escrow, which bounds it. It has no will, no owner and no money. Until the ruling
/// is carried out the sides may settle: each may show the other a signed Close.
///
/// A ruling is 0 (refused: the escrow's default for silence holds) or 1 + tail_share * 10,001 + deposit_share: what the
/// owner gets of the disputed tail and of the deposit at stake, in 1/10,000, rounded down to the token's base unit. A share of
/// what nobody contests is passed over.
interface IArbitrationDesk is IArbitrable {
    event DisputeRaised(bytes32 indexed rentalId, uint256 indexed disputeId);
    /// @dev As in ERC-1497.
    /// @param evidenceGroup The rental's id.
    /// @param evidence Where the evidence is to be found, its hash in the name or beside it.
    event Evidence(
        IArbitrator indexed arbitrator,
        uint256 indexed evidenceGroup,
        address indexed party,
        string evidence
    );
    /// @param account Whose signature it is. A session key's binds within the bounds of {IRentalEndings-close}.
    event Offered(bytes32 indexed rentalId, bytes32 indexed account, Closing closing, bytes signature);

    error ArbitrationDesk_AlreadyRaised(bytes32 rentalId, uint256 disputeId);
    error ArbitrationDesk_AlreadyRuled(uint256 disputeId, uint256 ruling);
    error ArbitrationDesk_DisputeIdTaken(uint256 disputeId, bytes32 rentalId);
    error ArbitrationDesk_Expired(uint256 nowAt, uint256 limit);
    error ArbitrationDesk_NoRuling(bytes32 rentalId);
    error ArbitrationDesk_NoSuchDispute(uint256 disputeId);
    error ArbitrationDesk_NotAParty(bytes32 account);
    error ArbitrationDesk_NotArbitrator(address sender, address arbitrator);
    error ArbitrationDesk_NotContested(bytes32 rentalId, uint8 status);
    error ArbitrationDesk_OtherArbiter(address arbiter);
    error ArbitrationDesk_RulingOutOfRange(uint256 ruling, uint256 choices);
    error ArbitrationDesk_ShareOutOfRange(uint256 share, uint256 limit);
    error ArbitrationDesk_TooEarly(uint256 nowAt, uint256 opensAfter);
    error ArbitrationDesk_WrongFee(uint256 paid, uint256 cost);

    /// @notice Raises the dispute of a contested rental, once, when nothing more can be contested (after the challenge window).
    /// Anyone may send it, with exactly what the arbitrator costs, in wei; nobody gets that back.
    /// @return disputeId The arbitrator's name for it.
    function raiseDispute(Terms calldata terms) external payable returns (uint256 disputeId);

    /// @notice Carries the ruling to the escrow. Anyone may send it, while the escrow lets its arbiter rule.
    /// @param payees Where to push, or zero to credit.
    function carryOut(Terms calldata terms, Payees calldata payees) external;

    /// @notice Tells where evidence is. Anyone may; who did is told with it.
    function submitEvidence(bytes32 rentalId, string calldata evidence) external;

    /// @notice Shows a signed Close to the other side and to the arbitrator. Whoever accepts sends it to the escrow's close with
    /// its own. Stores nothing, and cannot be taken back: until valid_until the other side may choose it, even against
    /// a ruling that it knows, so let it end before.
    /// @param signature Of the escrow's Close by the owner, the renter, or either's agent.
    function offer(Terms calldata terms, Closing calldata closing, bytes calldata signature) external;

    /// @notice A rental's dispute.
    /// @return disputeId The arbitrator's name for it.
    /// @return isRaised Whether there is one.
    /// @return isRuled Whether `ruling` counts.
    /// @return ruling What was ruled; zero: refused.
    function disputeOf(
        bytes32 rentalId
    ) external view returns (uint256 disputeId, bool isRaised, bool isRuled, uint32 ruling);

    /// @notice The ruling that gives the owner these shares, in 1/10,000 of the tail and of the deposit at stake.
    function rulingOf(uint256 tailShare, uint256 depositShare) external pure returns (uint256 ruling);

    /// @notice Who rules.
    function arbitrator() external view returns (IArbitrator);

    /// @notice Whose rentals are ruled over.
    function escrow() external view returns (IRentalEscrow);
}
