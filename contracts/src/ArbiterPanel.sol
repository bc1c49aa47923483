// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

import {IArbiterPanel} from "./interfaces/IArbiterPanel.sol";
import {IArbitrable} from "./interfaces/IArbitrable.sol";
import {IArbitrator} from "./interfaces/IArbitrator.sol";
import {Signatures} from "./libraries/Signatures.sol";

/// @title ArbiterPanel
/// @notice See {IArbiterPanel}.
contract ArbiterPanel is IArbiterPanel, EIP712 {
    struct PanelDispute {
        // ----------------------------------------- slot 0
        IArbitrable arbitrable;
        bool isRuled;
        // ----------------------------------------- slots 1, 2
        /// @dev Never zero: tells a dispute from none.
        uint256 choices;
        uint256 ruling;
    }

    bytes32 private constant VOTE_TYPEHASH = keccak256("Vote(uint256 dispute,uint256 ruling)");
    /// @dev ERC-7913: an address, or an address and a key.
    uint256 private constant SHORTEST_SIGNER = 20;
    /// @dev A ruling plus one is a word.
    uint256 private constant MOST_CHOICES = type(uint256).max - 1;

    uint256 public immutable override threshold;
    mapping(bytes32 account => bool) public override isMember;
    mapping(uint256 disputeId => PanelDispute) public override disputes;
    mapping(uint256 disputeId => mapping(uint256 ruling => uint256 votes)) public override tallyOf;
    mapping(uint256 disputeId => mapping(bytes32 account => uint256 rulingPlusOne)) public override voteOf;
    bytes[] private _members;

    /// @param signers ERC-7913 signers, each once.
    /// @param agreeing How many must agree: more than half, so that no two rulings can both have enough.
    constructor(bytes[] memory signers, uint256 agreeing) EIP712("Hireling", "1") {
        uint256 majority = signers.length / 2 + 1;
        if (agreeing < majority || agreeing > signers.length) {
            revert ArbiterPanel_ThresholdOutOfRange(agreeing, majority, signers.length);
        }
        for (uint256 i = 0; i < signers.length; ++i) {
            if (signers[i].length < SHORTEST_SIGNER) {
                revert ArbiterPanel_ShortSigner(signers[i].length, SHORTEST_SIGNER);
            }
            bytes32 account = keccak256(signers[i]);
            if (isMember[account]) revert ArbiterPanel_MemberTwice(account);
            isMember[account] = true;
        }
        _members = signers;
        threshold = agreeing;
    }

    /// @inheritdoc IArbitrator
    function createDispute(
        uint256 choices,
        bytes calldata extraData
    ) external payable override returns (uint256 disputeId) {
        if (msg.value != 0) revert ArbiterPanel_TakesNoFee(msg.value);
        if (choices == 0 || choices > MOST_CHOICES) {
            revert ArbiterPanel_ChoicesOutOfRange(choices, 1, MOST_CHOICES);
        }
        disputeId = uint256(keccak256(abi.encode(msg.sender, choices, extraData)));
        PanelDispute storage dispute = disputes[disputeId];
        if (dispute.choices != 0) revert ArbiterPanel_AlreadyRaised(disputeId);
        dispute.arbitrable = IArbitrable(msg.sender);
        dispute.choices = choices;
        emit DisputeCreation(disputeId, IArbitrable(msg.sender));
    }

    /// @inheritdoc IArbiterPanel
    function vote(uint256 disputeId, uint256 ruling) external override {
        _requireUnruled(disputeId, ruling);
        _count(disputeId, ruling, Signatures.accountOf(msg.sender));
        _ruleIfEnough(disputeId, ruling);
    }

    /// @inheritdoc IArbiterPanel
    function countVotes(uint256 disputeId, uint256 ruling, bytes[] calldata signatures) external override {
        _requireUnruled(disputeId, ruling);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(VOTE_TYPEHASH, disputeId, ruling)));
        for (uint256 i = 0; i < signatures.length; ++i) {
            (bytes32 account, , ) = Signatures.anyAccount(digest, signatures[i]);
            _count(disputeId, ruling, account);
        }
        _ruleIfEnough(disputeId, ruling);
    }

    /// @inheritdoc IArbitrator
    function arbitrationCost(bytes calldata) external pure override returns (uint256) {
        return 0;
    }

    /// @inheritdoc IArbiterPanel
    function members() external view override returns (bytes[] memory) {
        return _members;
    }

    /// @dev The same vote again is passed over, so that nobody can stop a transaction by counting one of its votes first.
    function _count(uint256 disputeId, uint256 ruling, bytes32 account) private {
        // An invalid signature's account is zero, which no signer hashes to.
        if (!isMember[account]) revert ArbiterPanel_NotMember(account);
        uint256 rulingPlusOne = voteOf[disputeId][account];
        if (rulingPlusOne == ruling + 1) return;
        if (rulingPlusOne != 0) revert ArbiterPanel_AlreadyVoted(account, rulingPlusOne - 1);
        voteOf[disputeId][account] = ruling + 1;
        ++tallyOf[disputeId][ruling];
        emit Voted(disputeId, account, ruling);
    }

    function _ruleIfEnough(uint256 disputeId, uint256 ruling) private {
        if (tallyOf[disputeId][ruling] < threshold) return;
        PanelDispute storage dispute = disputes[disputeId];
        dispute.isRuled = true;
        dispute.ruling = ruling;
        dispute.arbitrable.rule({disputeId: disputeId, ruling: ruling});
    }

    function _requireUnruled(uint256 disputeId, uint256 ruling) private view {
        PanelDispute storage dispute = disputes[disputeId];
        if (dispute.choices == 0) revert ArbiterPanel_NoSuchDispute(disputeId);
        if (dispute.isRuled) revert ArbiterPanel_AlreadyRuled(disputeId, dispute.ruling);
        if (ruling > dispute.choices) revert ArbiterPanel_RulingOutOfRange(ruling, dispute.choices);
    }
}
