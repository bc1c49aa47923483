// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.34;

import {Claim, Pay} from "../src/types/RentalTypes.sol";
import {Choices} from "./Choices.sol";

/// @notice Batches of claims, packed by code of its own. Rows that must be skipped stand among those that count.
abstract contract Batches is Choices {
    uint256 private constant CLAIMED = 0;
    uint256 private constant ADDRESS = 20;
    uint256 private constant SECP256K1 = 65;

    struct Expected {
        bytes32 id;
        bool counts;
        Slot earlier;
    }

    /// @dev Every rental once, ended ones too, and the last again, in groups of one: what counts moves as a claim alone would.
    function _claimAll(uint256 seed) internal {
        uint256 count = book.length;
        bytes memory batch;
        Expected[] memory expected = new Expected[](count);
        for (uint256 i = 0; i < count; ++i) {
            Entry storage entry = book[i];
            expected[i] = Expected(entry.id, false, _slot(entry.id));
            Claim memory row = _someRow(entry, expected[i].earlier, seed);
            if (!entry.ended && _canClaim(entry, expected[i].earlier) && _changes(entry, expected[i].earlier, row)) {
                expected[i].counts = true;
                entry.highestCeiling = _max(entry.highestCeiling, row.ceiling.max_claimable);
                entry.highestAck = _max(entry.highestAck, row.ceiling.ack_amount);
            }
            bytes memory packed = bytes.concat(_header(row.pay), bytes1(0x01), _packed(row));
            batch = bytes.concat(batch, packed, i + 1 == count ? packed : bytes(""));
        }
        uint256 before = _wealthOf(OWNER);
        bytes memory rows = escrow.claimPacked(batch);
        require(rows.length == 64 * (count + 1), "not a row for each");
        require(_outcomeOf(rows, count) != CLAIMED, "the same claim counted twice");
        require(_wealthOf(OWNER) == before + _recordAll(expected, rows), "the owner got something else than the rows say");
    }

    function _recordAll(Expected[] memory expected, bytes memory rows) private returns (uint256 toOwner) {
        for (uint256 i = 0; i < expected.length; ++i) {
            require(_wordOf(rows, 64 * i) == expected[i].id, "the row of another rental");
            bool counts = _outcomeOf(rows, i) == CLAIMED;
            require(counts == expected[i].counts, "a row was skipped that counts, or the other way round");
            Slot memory later = _slot(expected[i].id);
            if (!counts) {
                require(keccak256(abi.encode(later)) == keccak256(abi.encode(expected[i].earlier)), "a skipped row moved");
                continue;
            }
            uint256 sums = uint256(_wordOf(rows, 64 * i + 32));
            require(sums >> 160 == later.paid && uint96(sums >> 64) == later.tail, "logged sums are not the slot's");
            toOwner += _recordRow(book[i], expected[i].earlier, later);
        }
    }

    function _recordRow(Entry storage entry, Slot memory earlier, Slot memory later) private returns (uint256 share) {
        share = later.paid - earlier.paid - (_feeOn(entry.terms, later.paid) - _feeOn(entry.terms, earlier.paid));
        entry.toOwner += int256(share);
        uint256 total = uint256(later.paid) + later.tail;
        require(later.paid >= entry.paid && total >= entry.total, "a batch took something back");
        (entry.paid, entry.total) = (later.paid, total);
        ++reached["claimPacked"];
        if (entry.terms.pay.meter != _account(METER)) ++reached["claimPacked by P-256"];
    }

    function _header(Pay memory pay) private pure returns (bytes memory) {
        return abi.encodePacked(pay.owner, pay.token, pay.fee_to, pay.fee_bps);
    }

    function _packed(Claim memory row) private pure returns (bytes memory) {
        bytes memory meter = _signerOf(row.pay.meter, METER);
        bytes memory agent = _signerOf(row.pay.renter_agent, RENTER_AGENT);
        (bytes memory meterHalf, bool meterOdd) = _halves(row.meter_signature);
        (bytes memory agentHalf, bool agentOdd) = _halves(row.renter_agent_signature);
        uint8 flags = (meter.length > ADDRESS ? 2 : 0) | (agent.length > ADDRESS ? 4 : 0);
        flags |= (meterOdd ? 8 : 0) | (agentOdd ? 16 : 0) | (row.reading.last ? 1 : 0);
        Pay memory pay = row.pay;
        return
            bytes.concat(
                abi.encodePacked(flags, row.rules, meter, agent, pay.max_total, pay.block_max, pay.max_rate_per_hour),
                abi.encodePacked(pay.start_at, pay.claim_window, row.reading.seq, row.reading.amount_due),
                abi.encodePacked(row.reading.sample, row.ceiling.max_claimable, row.ceiling.ack_amount),
                abi.encodePacked(row.ceiling.ack_reading, meterHalf, agentHalf)
            );
    }

    /// @dev r and s, and whether y is odd, of r|s|v or of qx|qy|r|s.
    function _halves(bytes memory signature) private pure returns (bytes memory half, bool odd) {
        uint256 from = signature.length == SECP256K1 ? 0 : 64;
        half = abi.encodePacked(_wordOf(signature, from), _wordOf(signature, from + 32));
        odd = signature.length == SECP256K1 && signature[64] == 0x1c;
    }

    function _outcomeOf(bytes memory rows, uint256 index) private pure returns (uint256) {
        return uint8(rows[64 * index + 56]);
    }

    function _wordOf(bytes memory data, uint256 at) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), at))
        }
    }
}
