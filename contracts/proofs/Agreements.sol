// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {IRentalEscrow} from "../src/interfaces/IRentalEscrow.sol";
import {Ceiling, Claim, Closing, Pay, Reading, Rules, Terms} from "../src/types/RentalTypes.sol";
import {TestStablecoin} from "../src/TestStablecoin.sol";
import {Base} from "./Base.sol";

/// @notice The people of a rental and what they sign, hashed by strings of its own: a second implementation of the types.
abstract contract Agreements is Base {
    uint256 internal constant USD = 1e6;
    uint256 internal constant OWNER = 0x01;
    uint256 internal constant OWNER_AGENT = 0x02;
    uint256 internal constant RENTER = 0x03;
    uint256 internal constant RENTER_AGENT = 0x04;
    uint256 internal constant METER = 0x05;
    uint256 internal constant ARBITER = 0x06;
    uint256 internal constant PLATFORM = 0x07;

    uint256 private constant P256_N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;

    string private constant DETAIL =
        "Detail(bytes32 device,bytes32 offer,bytes32 tariff,string rail,string currency,uint32 ceiling_seconds,uint32 grace,bytes32 salt)";
    string private constant PAY =
        "Pay(bytes owner,bytes renter_agent,bytes meter,address token,address fee_to,uint16 fee_bps,uint96 max_total,uint96 block_max,uint96 max_rate_per_hour,uint40 start_at,uint32 claim_window)";
    string private constant RULES =
        "Rules(bytes renter,bytes owner_agent,address arbiter,uint96 deposit,uint40 fund_by,uint40 end_by,uint32 notice,uint32 challenge_window,Detail detail)";
    string private constant READING =
        "Reading(bytes32 rental_id,uint64 seq,uint96 amount_due,bool last,Sample sample)Sample(bytes32 previous,uint256[] counters,bytes32 boot,uint64 monotonic_ms,uint64 wall_ms,uint8 clock,uint8 event,uint32 flags)";

    IRentalEscrow internal escrow;
    TestStablecoin internal token;
    bytes32 internal domain;

    function _domainOf(address target) internal view returns (bytes32) {
        bytes32 typeHash = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        return keccak256(abi.encode(typeHash, keccak256("Hireling"), keccak256("1"), block.chainid, target));
    }

    function _account(uint256 key) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(vm.addr(key)));
    }

    /// @dev The signer bytes of a P-256 key of the same number.
    function _point(uint256 key) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        return abi.encodePacked(x, y);
    }

    /// @dev The signer bytes of whichever of the two keys of that number an account is.
    function _signerOf(bytes32 account, uint256 key) internal pure returns (bytes memory) {
        return account == _account(key) ? abi.encodePacked(vm.addr(key)) : _point(key);
    }

    /// @dev Signs as the key that the account is, secp256k1 or P-256.
    function _signAs(bytes32 account, uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        if (account == _account(key)) return _sign(key, structHash);
        (bytes32 r, bytes32 s) = vm.signP256(key, sha256(abi.encodePacked(_digest(structHash))));
        if (uint256(s) > P256_N / 2) s = bytes32(P256_N - uint256(s));
        return abi.encodePacked(_point(key), r, s);
    }

    function _digest(bytes32 structHash) internal view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 key, bytes32 structHash) internal view returns (bytes memory) {
        return _signDigest(key, _digest(structHash));
    }

    function _signDigest(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function _rulesHash(Rules memory rules) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encodePacked(RULES, DETAIL)), rules));
    }

    function _idOf(Terms memory terms) internal view returns (bytes32) {
        bytes32 agreement = keccak256(abi.encodePacked("Agreement(Pay pay,Rules rules)", DETAIL, PAY, RULES));
        bytes32 pay = keccak256(abi.encode(keccak256(bytes(PAY)), terms.pay));
        return _digest(keccak256(abi.encode(agreement, pay, _rulesHash(terms.rules))));
    }

    function _fund(bytes32 id, uint16 bps) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("Fund(bytes32 rental_id,uint16 funded_bps)"), id, bps));
    }

    function _exit(bytes32 id) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("Exit(bytes32 rental_id)"), id));
    }

    function _dispute(bytes32 id) internal pure returns (bytes32) {
        return keccak256(abi.encode(keccak256("Dispute(bytes32 rental_id)"), id));
    }

    function _damage(bytes32 id, uint96 amount, bytes32 evidence) internal pure returns (bytes32) {
        bytes32 typeHash = keccak256("Damage(bytes32 rental_id,uint96 amount,bytes32 evidence)");
        return keccak256(abi.encode(typeHash, id, amount, evidence));
    }

    function _close(bytes32 id, Closing memory closing) internal pure returns (bytes32) {
        bytes32 typeHash = keccak256("Close(bytes32 rental_id,uint96 use,uint96 damage,uint40 valid_until)");
        return keccak256(abi.encode(typeHash, id, closing));
    }

    function _withdraw(bytes32 account, address to, uint128 amount, uint128 tip, uint64 nonce, uint40 until)
        internal
        view
        returns (bytes32)
    {
        bytes32 typeHash = keccak256(
            "Withdraw(bytes32 account,address token,address to,uint128 amount,uint128 tip,uint64 nonce,uint40 valid_until)"
        );
        return keccak256(abi.encode(typeHash, account, address(token), to, amount, tip, nonce, until));
    }

    function _reading(bytes32 meter, bytes32 id, uint64 seq, uint96 amountDue, bool last)
        internal
        view
        returns (Reading memory reading, bytes memory signature)
    {
        bytes32 sample = keccak256(abi.encode("sample", seq));
        reading = Reading({rental_id: id, seq: seq, amount_due: amountDue, last: last, sample: sample});
        signature = _signAs(meter, METER, keccak256(abi.encode(keccak256(bytes(READING)), reading)));
    }

    function _row(Terms memory terms, bytes32 id, uint96 amountDue, uint96 maxClaimable, uint96 ackAmount)
        internal
        view
        returns (Claim memory row)
    {
        row.pay = terms.pay;
        row.rules = _rulesHash(terms.rules);
        (row.reading, row.meter_signature) = _reading(terms.pay.meter, id, 1, amountDue, false);
        row.ceiling = Ceiling(id, maxClaimable, ackAmount, bytes32(0));
        bytes32 typeHash = keccak256(
            "Ceiling(bytes32 rental_id,uint96 max_claimable,uint96 ack_amount,bytes32 ack_reading)"
        );
        bytes32 structHash = keccak256(abi.encode(typeHash, row.ceiling));
        row.renter_agent_signature = _signAs(terms.pay.renter_agent, RENTER_AGENT, structHash);
    }

    /// @dev A rental like most, with the numbers that matter drawn from the seed, the awkward ones among them.
    function _terms(uint256 seed, uint40 start) internal view returns (Terms memory terms) {
        terms.pay = Pay({
            owner: _account(OWNER),
            renter_agent: (seed >> 56) % 3 == 0 ? keccak256(_point(RENTER_AGENT)) : _account(RENTER_AGENT),
            meter: (seed >> 60) % 3 == 0 ? keccak256(_point(METER)) : _account(METER),
            token: address(token),
            fee_to: vm.addr(PLATFORM),
            fee_bps: [uint16(0), 1, 333, 1000][seed % 4],
            max_total: [uint96(100 * 1e6), 33_333_333, 7, 0][(seed >> 8) % 4],
            block_max: [uint96(5 * 1e6), 1, 5 * 1e6, 20 * 1e6][(seed >> 16) % 4],
            max_rate_per_hour: [uint96(60 * 1e6), 1, 60 * 1e6, 0][(seed >> 24) % 4],
            start_at: start,
            claim_window: 1 hours
        });
        terms.rules = Rules({
            renter: _account(RENTER),
            owner_agent: _account(OWNER_AGENT),
            arbiter: vm.addr(ARBITER),
            deposit: [uint96(20 * 1e6), 20 * 1e6, 9, 0][(seed >> 32) % 4],
            fund_by: start + [uint40(1), 1, 5 hours][(seed >> 40) % 3],
            end_by: start + 5 hours,
            notice: [uint32(0), 600][(seed >> 48) % 2],
            challenge_window: 1 hours,
            detail: keccak256(abi.encode(seed, start))
        });
    }
}
