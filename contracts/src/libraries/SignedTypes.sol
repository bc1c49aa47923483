// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Ceiling, Closing, Pay, Reading, Rules} from "../types/RentalTypes.sol";

// Type strings stand in one piece, as they are hashed.
// solhint-disable max-line-length

/// @notice The EIP-712 types of the protocol and their struct hashes.
library SignedTypes {
    string internal constant PAY =
        "Pay(bytes owner,bytes renter_agent,bytes meter,address token,address fee_to,uint16 fee_bps,uint96 max_total,uint96 block_max,uint96 max_rate_per_hour,uint40 start_at,uint32 claim_window)";
    string internal constant DETAIL =
        "Detail(bytes32 device,bytes32 offer,bytes32 tariff,string rail,string currency,uint32 ceiling_seconds,uint32 grace,bytes32 salt)";
    string internal constant RULES_ALONE =
        "Rules(bytes renter,bytes owner_agent,address arbiter,uint96 deposit,uint40 fund_by,uint40 end_by,uint32 notice,uint32 challenge_window,Detail detail)";
    string internal constant SAMPLE =
        "Sample(bytes32 previous,uint256[] counters,bytes32 boot,uint64 monotonic_ms,uint64 wall_ms,uint8 clock,uint8 event,uint32 flags)";
    string internal constant CEILING =
        "Ceiling(bytes32 rental_id,uint96 max_claimable,uint96 ack_amount,bytes32 ack_reading)";
    string internal constant CLOSE = "Close(bytes32 rental_id,uint96 use,uint96 damage,uint40 valid_until)";
    string internal constant FUND = "Fund(bytes32 rental_id,uint16 funded_bps)";
    string internal constant EXIT = "Exit(bytes32 rental_id)";
    string internal constant DISPUTE = "Dispute(bytes32 rental_id)";
    string internal constant DAMAGE = "Damage(bytes32 rental_id,uint96 amount,bytes32 evidence)";
    string internal constant UNLOCK = "Unlock(bytes32 rental_id,bytes32 device,bytes32 nonce,uint8 action)";
    string internal constant DEPOSIT = "Deposit(bytes32 account,bytes32 salt)";
    string internal constant WITHDRAW =
        "Withdraw(address token,address to,uint128 amount,uint128 tip,uint64 nonce,uint40 valid_until)";
    string internal constant POSSESSION = "Possession(address owner,address registry,uint40 valid_until)";
    // EIP-712 appends the types a type refers to, sorted by name.
    string internal constant AGREEMENT =
        string.concat("Agreement(Pay pay,Rules rules)", DETAIL, PAY, RULES_ALONE);
    string internal constant RULES = string.concat(RULES_ALONE, DETAIL);
    string internal constant READING =
        string.concat("Reading(bytes32 rental_id,uint64 seq,uint96 amount_due,bool last,Sample sample)", SAMPLE);

    bytes32 internal constant AGREEMENT_TYPEHASH = keccak256(bytes(AGREEMENT));
    bytes32 internal constant PAY_TYPEHASH = keccak256(bytes(PAY));
    bytes32 internal constant RULES_TYPEHASH = keccak256(bytes(RULES));
    bytes32 internal constant READING_TYPEHASH = keccak256(bytes(READING));
    bytes32 internal constant CEILING_TYPEHASH = keccak256(bytes(CEILING));
    bytes32 internal constant CLOSE_TYPEHASH = keccak256(bytes(CLOSE));
    bytes32 internal constant FUND_TYPEHASH = keccak256(bytes(FUND));
    bytes32 internal constant EXIT_TYPEHASH = keccak256(bytes(EXIT));
    bytes32 internal constant DISPUTE_TYPEHASH = keccak256(bytes(DISPUTE));
    bytes32 internal constant DAMAGE_TYPEHASH = keccak256(bytes(DAMAGE));
    bytes32 internal constant DEPOSIT_TYPEHASH = keccak256(bytes(DEPOSIT));
    bytes32 internal constant WITHDRAW_TYPEHASH = keccak256(bytes(WITHDRAW));
    bytes32 internal constant POSSESSION_TYPEHASH = keccak256(bytes(POSSESSION));

    /// @dev Static structs encode as their words in order, which is just what hashStruct needs.
    function hashAgreement(Pay calldata pay, bytes32 rulesHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(AGREEMENT_TYPEHASH, keccak256(abi.encode(PAY_TYPEHASH, pay)), rulesHash));
    }

    function hashRules(Rules calldata rules) internal pure returns (bytes32) {
        return keccak256(abi.encode(RULES_TYPEHASH, rules));
    }

    function hashReading(Reading calldata reading) internal pure returns (bytes32) {
        return keccak256(abi.encode(READING_TYPEHASH, reading));
    }

    function hashCeiling(Ceiling calldata ceiling) internal pure returns (bytes32) {
        return keccak256(abi.encode(CEILING_TYPEHASH, ceiling));
    }

    function hashClose(bytes32 rentalId, Closing calldata closing) internal pure returns (bytes32) {
        return keccak256(abi.encode(CLOSE_TYPEHASH, rentalId, closing));
    }

    function hashFund(bytes32 rentalId, uint16 fundedBps) internal pure returns (bytes32) {
        return keccak256(abi.encode(FUND_TYPEHASH, rentalId, fundedBps));
    }

    function hashExit(bytes32 rentalId) internal pure returns (bytes32) {
        return keccak256(abi.encode(EXIT_TYPEHASH, rentalId));
    }

    function hashDispute(bytes32 rentalId) internal pure returns (bytes32) {
        return keccak256(abi.encode(DISPUTE_TYPEHASH, rentalId));
    }

    function hashDamage(bytes32 rentalId, uint96 amount, bytes32 evidence) internal pure returns (bytes32) {
        return keccak256(abi.encode(DAMAGE_TYPEHASH, rentalId, amount, evidence));
    }

    function hashDeposit(bytes32 account, bytes32 salt) internal pure returns (bytes32) {
        return keccak256(abi.encode(DEPOSIT_TYPEHASH, account, salt));
    }

    function hashWithdraw(
        address token,
        address to,
        uint128 amount,
        uint128 tip,
        uint64 nonce,
        uint40 validUntil
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAW_TYPEHASH, token, to, amount, tip, nonce, validUntil));
    }

    function hashPossession(address owner, address registry, uint40 validUntil) internal pure returns (bytes32) {
        return keccak256(abi.encode(POSSESSION_TYPEHASH, owner, registry, validUntil));
    }
}
