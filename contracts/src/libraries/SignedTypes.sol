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
        "Withdraw(bytes32 account,address token,address to,uint128 amount,uint128 tip,uint64 nonce,uint40 valid_until)";
    string internal constant POSSESSION = "Possession(address owner,address registry,bytes32 device,bytes32 metadata,uint40 valid_until)";
    // EIP-712 appends the types a type refers to, sorted by name.
    string internal constant AGREEMENT =
        string.concat("Agreement(Pay pay,Rules rules)", DETAIL, PAY, RULES_ALONE);
    string internal constant RULES = string.concat(RULES_ALONE, DETAIL);
    string internal constant READING =
        string.concat("Reading(bytes32 rental_id,uint64 seq,uint96 amount_due,bool last,Sample sample)", SAMPLE);

    // Written out: the compiler would join and hash the strings anew at each use. {SignedTypeBook} is tested to agree.
    bytes32 internal constant AGREEMENT_TYPEHASH = 0x2664124855f266acecf49f59271e8bbf56f7257ad8c9f20db30b5085694c27b8;
    bytes32 internal constant PAY_TYPEHASH = 0xf0dfa4f348ffccf739c480e19389561afd24e538fcbbc354f12546e3e9080d56;
    bytes32 internal constant DETAIL_TYPEHASH = 0x08846afd51f4180b64e8eb9a7ec0c7f24b8e856eb9e96e87de96a3cfa59f8d2b;
    bytes32 internal constant RULES_TYPEHASH = 0x67796717e3c0cd701af8b858e2a48f3a702dcc83746e950fa7dda8de5e5996e1;
    bytes32 internal constant READING_TYPEHASH = 0x707b3d94d4981a97ceb548500858507de3224bf2b61cb88ec584f7ba06a1efa1;
    bytes32 internal constant SAMPLE_TYPEHASH = 0x30bc0049269cd7b4ef2741dd8814a60ae7d5ff2fa880580d3e1297630fab2dae;
    bytes32 internal constant CEILING_TYPEHASH = 0x55599df7acb3d5e2291e82651f23822bd0d0770027619e61c2d7b762c865cdd7;
    bytes32 internal constant CLOSE_TYPEHASH = 0xb173fa4168576cd39a8d15fcee90d516bd3fd20c6868ca6d183f2ea8099b5406;
    bytes32 internal constant FUND_TYPEHASH = 0x011e72860ecef1cda926664b0f541d30da5e7300e25b5dca9238c1534d4578ba;
    bytes32 internal constant EXIT_TYPEHASH = 0xd7daf76c0209c85a7cf067f2f238101aef9a1d67ea8c92fca58ee798086a3487;
    bytes32 internal constant DISPUTE_TYPEHASH = 0xf8ccd9c5732ffe9b62f1362435d7344fdbb310dcfd5df46276a09ed02386dabb;
    bytes32 internal constant DAMAGE_TYPEHASH = 0x1e4b36601c047d4a56537678ffe334bc6ee8db357ef6fe9572c4563322ff1ead;
    bytes32 internal constant UNLOCK_TYPEHASH = 0xa5949f3d7277ed688e4b071cb1eb172ddd3d6f44cf8bef99906a4e96ee6001ce;
    bytes32 internal constant DEPOSIT_TYPEHASH = 0x333dbd9e5379504a28edeadfe5f37a260aafa5d719a85261cc3611a0017f01fe;
    bytes32 internal constant WITHDRAW_TYPEHASH = 0xabaf6d3f7d55240c8ca996989a964bf40de5200f74c0d8f750a4ab5784d77c13;
    bytes32 internal constant POSSESSION_TYPEHASH = 0xd2551b60d9257701c71792e2656e36c92208fc9398bbbdae17f67c4e70d9d0bb;

    uint256 private constant PAY_BYTES = 11 * 32;
    uint256 private constant RULES_BYTES = 9 * 32;
    uint256 private constant READING_BYTES = 5 * 32;
    uint256 private constant CEILING_BYTES = 4 * 32;

    function hashAgreement(bytes32 payHash, bytes32 rulesHash) internal pure returns (bytes32) {
        return keccak256(abi.encode(AGREEMENT_TYPEHASH, payHash, rulesHash));
    }

    function hashPay(Pay calldata pay) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := pay
        }
        return _hashInCalldata(PAY_TYPEHASH, at, PAY_BYTES);
    }

    function hashRules(Rules calldata rules) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := rules
        }
        return _hashInCalldata(RULES_TYPEHASH, at, RULES_BYTES);
    }

    function hashReading(Reading calldata reading) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := reading
        }
        return _hashInCalldata(READING_TYPEHASH, at, READING_BYTES);
    }

    function hashCeiling(Ceiling calldata ceiling) internal pure returns (bytes32) {
        uint256 at;
        assembly ("memory-safe") {
            at := ceiling
        }
        return _hashInCalldata(CEILING_TYPEHASH, at, CEILING_BYTES);
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
        bytes32 account,
        address token,
        address to,
        uint128 amount,
        uint128 tip,
        uint64 nonce,
        uint40 validUntil
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAW_TYPEHASH, account, token, to, amount, tip, nonce, validUntil));
    }

    function hashPossession(
        address owner,
        address registry,
        uint256 device,
        bytes32 metadata,
        uint40 validUntil
    ) internal pure returns (bytes32) {
        return keccak256(abi.encode(POSSESSION_TYPEHASH, owner, registry, device, metadata, validUntil));
    }

    /// @dev Static structs are their words in a row, just what hashStruct needs. They are hashed as they came, bits beyond a
    /// member's type included: whoever reads a member refuses such bits, and what was signed has none.
    function _hashInCalldata(bytes32 typeHash, uint256 at, uint256 size) private pure returns (bytes32 structHash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            calldatacopy(add(free, 0x20), at, size)
            structHash := keccak256(free, add(size, 0x20))
        }
    }
}
