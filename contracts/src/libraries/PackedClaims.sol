// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {SignedTypes} from "./SignedTypes.sol";
import {Signatures} from "./Signatures.sol";

/// @notice A row of a batch in memory that every row uses again. Its words lie as they are hashed, each struct behind its type
/// hash: what was read from calldata is never copied. Members and units: {Pay}, {Reading} and {Ceiling}.
struct PackedRow {
    // EIP-712 digest: the last two bytes of the first word, then two words.
    uint256 prefix;
    bytes32 separator;
    bytes32 structHash;
    bytes32 agreementType;
    bytes32 payHash;
    bytes32 rules;
    bytes32 payType;
    bytes32 owner;
    bytes32 renterAgent;
    bytes32 meter;
    address token;
    address feeTo;
    uint256 feeBps;
    uint256 maxTotal;
    uint256 blockMax;
    uint256 maxRatePerHour;
    uint256 startAt;
    uint256 claimWindow;
    bytes32 readingType;
    bytes32 readingRentalId;
    uint256 seq;
    uint256 amountDue;
    uint256 last;
    bytes32 sample;
    bytes32 ceilingType;
    bytes32 ceilingRentalId;
    uint256 maxClaimable;
    uint256 ackAmount;
    bytes32 ackReading;
}

/// @notice Reads batches of claims. Integers are big-endian and nothing is padded:
///
/// group = owner 32 | token 20 | fee_to 20 | fee_bps 2 | rows 1, then its rows
/// row = flags 1 | rules 32 | meter 20 or 64 | renter_agent 20 or 64 | max_total 12 | block_max 12 |
///   max_rate_per_hour 12 | start_at 5 | claim_window 4 | seq 8 | amount_due 12 | sample 32 | max_claimable 12 |
///   ack_amount 12 | ack_reading 32 | meter's r, s 64 | renter_agent's r, s 64
/// flags: 1 the reading is the last, 2 the meter is P-256, 4 the renter's agent is P-256, 8 and 16 their odd parities
library PackedClaims {
    uint256 internal constant GROUP_LENGTH = 75;
    uint256 internal constant SHORTEST_ROW = 354;

    uint256 private constant METER_P256 = 2;
    uint256 private constant RENTER_AGENT_P256 = 4;
    uint256 private constant METER_PARITY = 3;
    uint256 private constant RENTER_AGENT_PARITY = 4;
    uint256 private constant METER_AT = 33;
    uint256 private constant POINT_BEYOND_ADDRESS = 44;
    // From a row's end.
    uint256 private constant METER_SIGNATURE = 128;
    uint256 private constant RENTER_AGENT_SIGNATURE = 64;

    /// @notice Writes what all rows of a batch share.
    function prepare(PackedRow memory row, bytes32 separator) internal pure {
        row.prefix = 0x1901;
        row.separator = separator;
        row.agreementType = SignedTypes.AGREEMENT_TYPEHASH;
        row.payType = SignedTypes.PAY_TYPEHASH;
        row.readingType = SignedTypes.READING_TYPEHASH;
        row.ceilingType = SignedTypes.CEILING_TYPEHASH;
    }

    /// @notice Reads what the rows of a group share, at an offset of calldata.
    /// @return rows How many rows follow.
    function readGroup(uint256 at, PackedRow memory row) internal pure returns (uint256 rows) {
        // Offsets in calldata are far from overflowing, here and below.
        unchecked {
            row.owner = bytes32(_read(at, 32));
            row.token = address(uint160(_read(at + 32, 20)));
            row.feeTo = address(uint160(_read(at + 52, 20)));
            row.feeBps = _read(at + 72, 2);
            return _read(at + 74, 1);
        }
    }

    /// @notice The first byte of a row.
    function flagsOfRow(uint256 at) internal pure returns (uint256 flags) {
        return _read(at, 1);
    }

    /// @notice The offset behind a row.
    function endOfRow(uint256 at, uint256 flags) internal pure returns (uint256 end) {
        unchecked {
            end = at + SHORTEST_ROW;
            if (flags & METER_P256 != 0) end += POINT_BEYOND_ADDRESS;
            if (flags & RENTER_AGENT_P256 != 0) end += POINT_BEYOND_ADDRESS;
        }
    }

    /// @notice Reads the row at an offset of calldata.
    /// @return rentalId The id of its rental, written into reading and ceiling.
    function readRow(uint256 at, uint256 flags, PackedRow memory row) internal pure returns (bytes32 rentalId) {
        unchecked {
            row.rules = bytes32(_read(at + 1, 32));
            at += METER_AT;
            row.meter = _accountAt(at, flags & METER_P256 != 0);
            at = _behindKey(at, flags & METER_P256 != 0);
            row.renterAgent = _accountAt(at, flags & RENTER_AGENT_P256 != 0);
            at = _behindKey(at, flags & RENTER_AGENT_P256 != 0);
        }
        // Written in one piece, a row costs a third of what member by member does.
        assembly ("memory-safe") {
            mstore(add(row, 0x1a0), shr(160, calldataload(at))) // max_total
            mstore(add(row, 0x1c0), shr(160, calldataload(add(at, 12)))) // block_max
            mstore(add(row, 0x1e0), shr(160, calldataload(add(at, 24)))) // max_rate_per_hour
            mstore(add(row, 0x200), shr(216, calldataload(add(at, 36)))) // start_at
            mstore(add(row, 0x220), shr(224, calldataload(add(at, 41)))) // claim_window

            mstore(add(row, 0x280), shr(192, calldataload(add(at, 45)))) // seq
            mstore(add(row, 0x2a0), shr(160, calldataload(add(at, 53)))) // amount_due
            mstore(add(row, 0x2c0), and(flags, 1)) // last
            mstore(add(row, 0x2e0), calldataload(add(at, 65))) // sample

            mstore(add(row, 0x340), shr(160, calldataload(add(at, 97)))) // max_claimable
            mstore(add(row, 0x360), shr(160, calldataload(add(at, 109)))) // ack_amount
            mstore(add(row, 0x380), calldataload(add(at, 121))) // ack_reading

            mstore(add(row, 0x80), keccak256(add(row, 0xc0), 0x180)) // pay
            mstore(add(row, 0x40), keccak256(add(row, 0x60), 0x60)) // agreement
            rentalId := keccak256(add(row, 0x1e), 0x42)
            mstore(add(row, 0x260), rentalId)
            mstore(add(row, 0x320), rentalId)
        }
    }

    /// @notice Whether the meter of a row that was read signed its reading.
    /// @param end The offset behind the row.
    function isMeterValid(uint256 at, uint256 flags, uint256 end, PackedRow memory row) internal view returns (bool) {
        bytes32 digest;
        assembly ("memory-safe") {
            mstore(add(row, 0x40), keccak256(add(row, 0x240), 0xc0)) // reading
            digest := keccak256(add(row, 0x1e), 0x42)
        }
        unchecked {
            return
                _isBy(
                    digest,
                    flags & METER_P256 != 0,
                    at + METER_AT,
                    end - METER_SIGNATURE,
                    (flags >> METER_PARITY) & 1
                );
        }
    }

    /// @notice Whether the renter's agent of a row that was read signed its ceiling.
    /// @param end The offset behind the row.
    function isRenterAgentValid(
        uint256 at,
        uint256 flags,
        uint256 end,
        PackedRow memory row
    ) internal view returns (bool) {
        bytes32 digest;
        assembly ("memory-safe") {
            mstore(add(row, 0x40), keccak256(add(row, 0x300), 0xa0)) // ceiling
            digest := keccak256(add(row, 0x1e), 0x42)
        }
        unchecked {
            return
                _isBy(
                    digest,
                    flags & RENTER_AGENT_P256 != 0,
                    _behindKey(at + METER_AT, flags & METER_P256 != 0),
                    end - RENTER_AGENT_SIGNATURE,
                    (flags >> RENTER_AGENT_PARITY) & 1
                );
        }
    }

    function _isBy(
        bytes32 digest,
        bool isP256,
        uint256 keyAt,
        uint256 signatureAt,
        uint256 parity
    ) private view returns (bool) {
        unchecked {
            (bytes32 r, bytes32 s) = (bytes32(_read(signatureAt, 32)), bytes32(_read(signatureAt + 32, 32)));
            if (isP256) {
                return Signatures.isByP256(digest, bytes32(_read(keyAt, 32)), bytes32(_read(keyAt + 32, 32)), r, s);
            }
            address who = Signatures.recover(digest, 27 + parity, r, s);
            return who != address(0) && uint160(who) == _read(keyAt, 20);
        }
    }

    function _accountAt(uint256 at, bool isP256) private pure returns (bytes32 account) {
        assembly ("memory-safe") {
            calldatacopy(0x00, at, 0x40)
            account := keccak256(0x00, add(20, mul(POINT_BEYOND_ADDRESS, isP256)))
        }
    }

    function _behindKey(uint256 at, bool isP256) private pure returns (uint256 next) {
        assembly ("memory-safe") {
            next := add(at, add(20, mul(POINT_BEYOND_ADDRESS, isP256)))
        }
    }

    function _read(uint256 at, uint256 size) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), calldataload(at))
        }
    }
}
