// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Ceiling, Pay, Reading} from "../types/RentalTypes.sol";
import {Signatures} from "./Signatures.sol";

/// @notice A key beside the signature it made.
struct SignedBy {
    bool isP256;
    /// @dev An address, or the point's x.
    bytes32 x;
    /// @dev Zero, or the point's y.
    bytes32 y;
    bytes32 r;
    bytes32 s;
    /// @dev 27 or 28; without meaning for P-256.
    uint8 v;
}

/// @notice A row of a batch, read into memory that every row of the batch uses again.
struct PackedRow {
    Pay pay;
    bytes32 rules;
    Reading reading;
    Ceiling ceiling;
    SignedBy meter;
    SignedBy renterAgent;
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

    uint256 private constant LAST = 1;
    uint256 private constant METER_P256 = 2;
    uint256 private constant RENTER_AGENT_P256 = 4;
    uint256 private constant METER_ODD = 8;
    uint256 private constant RENTER_AGENT_ODD = 16;
    uint256 private constant POINT_BEYOND_ADDRESS = 44;

    /// @notice Reads what the rows of a group share, at an offset of calldata.
    /// @return rows How many rows follow.
    function readGroup(uint256 at, Pay memory pay) internal pure returns (uint256 rows) {
        // Offsets in calldata are far from overflowing, here and below.
        unchecked {
            pay.owner = bytes32(_read(at, 32));
            pay.token = address(uint160(_read(at + 32, 20)));
            pay.fee_to = address(uint160(_read(at + 52, 20)));
            pay.fee_bps = uint16(_read(at + 72, 2));
            rows = _read(at + 74, 1);
        }
    }

    /// @notice The bytes of the row at an offset of calldata.
    function lengthOfRow(uint256 at) internal pure returns (uint256 length) {
        uint256 flags = _read(at, 1);
        length = SHORTEST_ROW;
        unchecked {
            if (flags & METER_P256 != 0) length += POINT_BEYOND_ADDRESS;
            if (flags & RENTER_AGENT_P256 != 0) length += POINT_BEYOND_ADDRESS;
        }
    }

    /// @notice Reads the row at an offset of calldata. The rental's id in reading and ceiling is left to the caller.
    /// @dev Members of a struct in memory are words in the order of its declaration; written in one piece, a row costs a third
    /// of what member by member does.
    function readRow(uint256 at, PackedRow memory row) internal pure {
        uint256 flags = _read(at, 1);
        Pay memory pay = row.pay;
        SignedBy memory meter = row.meter;
        SignedBy memory renterAgent = row.renterAgent;
        row.rules = bytes32(_read(at + 1, 32));
        (at, pay.meter) = _readKey(at + 33, flags & METER_P256 != 0, meter);
        (at, pay.renter_agent) = _readKey(at, flags & RENTER_AGENT_P256 != 0, renterAgent);
        Reading memory reading = row.reading;
        Ceiling memory ceiling = row.ceiling;
        assembly ("memory-safe") {
            mstore(add(pay, 0xc0), shr(160, calldataload(at))) // max_total
            mstore(add(pay, 0xe0), shr(160, calldataload(add(at, 12)))) // block_max
            mstore(add(pay, 0x100), shr(160, calldataload(add(at, 24)))) // max_rate_per_hour
            mstore(add(pay, 0x120), shr(216, calldataload(add(at, 36)))) // start_at
            mstore(add(pay, 0x140), shr(224, calldataload(add(at, 41)))) // claim_window

            mstore(add(reading, 0x20), shr(192, calldataload(add(at, 45)))) // seq
            mstore(add(reading, 0x40), shr(160, calldataload(add(at, 53)))) // amount_due
            mstore(add(reading, 0x60), and(flags, LAST))
            mstore(add(reading, 0x80), calldataload(add(at, 65))) // sample

            mstore(add(ceiling, 0x20), shr(160, calldataload(add(at, 97)))) // max_claimable
            mstore(add(ceiling, 0x40), shr(160, calldataload(add(at, 109)))) // ack_amount
            mstore(add(ceiling, 0x60), calldataload(add(at, 121))) // ack_reading

            mstore(add(meter, 0x60), calldataload(add(at, 153))) // r
            mstore(add(meter, 0x80), calldataload(add(at, 185))) // s
            mstore(add(meter, 0xa0), add(27, shr(3, and(flags, METER_ODD)))) // v

            mstore(add(renterAgent, 0x60), calldataload(add(at, 217))) // r
            mstore(add(renterAgent, 0x80), calldataload(add(at, 249))) // s
            mstore(add(renterAgent, 0xa0), add(27, shr(4, and(flags, RENTER_AGENT_ODD)))) // v
        }
    }

    /// @notice Whether the key made the signature of the digest.
    function isValid(SignedBy memory by, bytes32 digest) internal view returns (bool) {
        if (by.isP256) return Signatures.isByP256(digest, by.x, by.y, by.r, by.s);
        address who = Signatures.recover(digest, by.v, by.r, by.s);
        return who != address(0) && who == address(uint160(uint256(by.x)));
    }

    function _readKey(uint256 at, bool isP256, SignedBy memory by) private pure returns (uint256 next, bytes32 account) {
        by.isP256 = isP256;
        unchecked {
            if (isP256) {
                (by.x, by.y) = (bytes32(_read(at, 32)), bytes32(_read(at + 32, 32)));
                return (at + 64, Signatures.accountOf(by.x, by.y));
            }
            by.x = bytes32(_read(at, 20));
            return (at + 20, Signatures.accountOf(address(uint160(uint256(by.x)))));
        }
    }

    function _read(uint256 at, uint256 size) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, shl(3, size)), calldataload(at))
        }
    }
}
