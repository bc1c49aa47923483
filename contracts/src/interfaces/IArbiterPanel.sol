// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IArbitrable} from "./IArbitrable.sol";
import {IArbitrator} from "./IArbitrator.sol";

/// @title A panel that rules when enough of its members agree
/// @notice Members and threshold are fixed at construction: whoever named the panel knows who will rule. A vote is a
/// transaction of the member's own, or `Vote(uint256 dispute,uint256 ruling)` signed in the panel's EIP-712 domain (name
/// "Hireling", version "1"), which anyone may send. It is final. A dispute's id is the hash of who raised it, its choices and
/// what it is about, so that a vote counts for nothing but what the member read. Ruling costs nothing.
interface IArbiterPanel is IArbitrator {
    /// @param account keccak256 of the member's signer bytes.
    event Voted(uint256 indexed disputeId, bytes32 indexed account, uint256 ruling);

    error ArbiterPanel_AlreadyRaised(uint256 disputeId);
    error ArbiterPanel_AlreadyRuled(uint256 disputeId, uint256 ruling);
    error ArbiterPanel_AlreadyVoted(bytes32 account, uint256 ruling);
    error ArbiterPanel_ChoicesOutOfRange(uint256 choices, uint256 minimum, uint256 maximum);
    error ArbiterPanel_MemberTwice(bytes32 account);
    error ArbiterPanel_NoSuchDispute(uint256 disputeId);
    error ArbiterPanel_NotMember(bytes32 account);
    error ArbiterPanel_RulingOutOfRange(uint256 ruling, uint256 choices);
    error ArbiterPanel_ShortSigner(uint256 length, uint256 minimum);
    error ArbiterPanel_TakesNoFee(uint256 paid);
    error ArbiterPanel_ThresholdOutOfRange(uint256 threshold, uint256 minimum, uint256 maximum);

    /// @notice Votes as the sender. Rules if that makes enough.
    /// @param ruling Zero: refuses to rule. Else 1 to the dispute's choices.
    function vote(uint256 disputeId, uint256 ruling) external;

    /// @notice Counts votes for one ruling that members signed. Anyone may send it. Rules if that makes enough. A vote that was
    /// counted before is passed over.
    /// @param ruling Zero: refuses to rule. Else 1 to the dispute's choices.
    /// @param signatures Each of Vote(dispute, ruling) by a member.
    function countVotes(uint256 disputeId, uint256 ruling, bytes[] calldata signatures) external;

    /// @notice A dispute.
    /// @return arbitrable Who raised it; zero if there is none.
    /// @return isRuled Whether `ruling` counts.
    /// @return choices Rulings to choose from beside zero.
    /// @return ruling What was ruled; zero: refused.
    function disputes(
        uint256 disputeId
    ) external view returns (IArbitrable arbitrable, bool isRuled, uint256 choices, uint256 ruling);

    /// @notice How many votes a ruling has.
    function tallyOf(uint256 disputeId, uint256 ruling) external view returns (uint256 votes);

    /// @notice What a member voted for.
    /// @return rulingPlusOne The ruling plus one; zero if it has not voted.
    function voteOf(uint256 disputeId, bytes32 account) external view returns (uint256 rulingPlusOne);

    /// @notice Whether an account (keccak256 of the signer's bytes) is a member.
    function isMember(bytes32 account) external view returns (bool);

    /// @notice The signer bytes of every member.
    function members() external view returns (bytes[] memory signers);

    /// @notice How many must agree: more than half.
    function threshold() external view returns (uint256);
}
