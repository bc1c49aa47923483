"""Packed batches of claims, as `claimPacked` reads them: groups of rows, big-endian and without padding.

A group is one owner's, in one token, under one fee: owner 32, token 20, fee_to 20, fee_bps 2, number of rows 1. Its rows
follow.
"""

from collections.abc import Iterable
from enum import IntFlag
from itertools import groupby
from typing import Any

from eth_utils import keccak
from rental import Rental
from signing import P256Key

Evidence = tuple[Rental, int, int, int]
"""A rental with amount_due, max_claimable and ack_amount, in base units."""

MAX_ROWS_IN_GROUP = 255
P256_LENGTH = 128
LOGGED_ROW = 64
OUTCOME_AT = 56


class RowFlag(IntFlag):
    LAST = 1
    METER_P256 = 2
    RENTER_AGENT_P256 = 4
    METER_ODD = 8
    RENTER_AGENT_ODD = 16


def packed_batch(evidence: Iterable[Evidence], *, seq: int = 1) -> bytes:
    """Return a batch; neighbours that share owner, token and fee share a group of at most 255 rows."""
    groups = groupby(evidence, key=lambda each: header_of(each[0]))
    return b"".join(
        packed_group(header, [packed_row(*each, seq=seq) for each in rows]) for header, rows in groups
    )


def packed_group(header: bytes, rows: list[bytes]) -> bytes:
    """Return the rows under their header, in as many groups as it takes."""
    parts = [rows[first : first + MAX_ROWS_IN_GROUP] for first in range(0, len(rows), MAX_ROWS_IN_GROUP)]
    return b"".join(header + bytes([len(part)]) + b"".join(part) for part in parts)


def header_of(rental: Rental) -> bytes:
    """Return a group's bytes but for the number of its rows."""
    address = bytes.fromhex(rental.token[2:]) + bytes.fromhex(rental.fee_to[2:])
    return keccak(rental.owner.signer) + address + rental.fee_bps.to_bytes(2, "big")


def packed_row(
    rental: Rental,
    amount_due: int,
    max_claimable: int,
    ack_amount: int,
    *,
    seq: int = 1,
    last: bool = False,
    **keys: Any,
) -> bytes:
    """Return one row. `meter_key` and `renter_agent_key` name who signs instead of the agreed key."""
    reading, meter_signature = rental.reading(amount_due, seq=seq, last=last, key=keys.get("meter_key"))
    ceiling, agent_signature = rental.ceiling(max_claimable, ack_amount, key=keys.get("renter_agent_key"))
    meter_half, meter_odd = _halves(meter_signature)
    agent_half, agent_odd = _halves(agent_signature)
    flags = (
        RowFlag.LAST * last
        | RowFlag.METER_P256 * _is_p256(rental.meter.signer)
        | RowFlag.RENTER_AGENT_P256 * _is_p256(rental.renter_agent.signer)
        | RowFlag.METER_ODD * meter_odd
        | RowFlag.RENTER_AGENT_ODD * agent_odd
    )
    amounts = (rental.max_total, rental.block_max, rental.max_rate_per_hour)
    return b"".join(
        [
            bytes([flags]),
            rental.rules_hash,
            rental.meter.signer,
            rental.renter_agent.signer,
            *(amount.to_bytes(12, "big") for amount in amounts),
            (rental.starts + rental.start_delay).to_bytes(5, "big"),
            rental.claim_window.to_bytes(4, "big"),
            seq.to_bytes(8, "big"),
            amount_due.to_bytes(12, "big"),
            reading[4],
            max_claimable.to_bytes(12, "big"),
            ack_amount.to_bytes(12, "big"),
            ceiling[3],
            meter_half,
            agent_half,
        ]
    )


def outcomes_of(rows: Any) -> list[int]:
    """Return the outcome of each row that `claimPacked` returned, or `ClaimedMany` logged."""
    words = bytes.fromhex(str(rows).removeprefix("0x"))
    return [words[at + OUTCOME_AT] for at in range(0, len(words), LOGGED_ROW)]


def _is_p256(signer: bytes) -> bool:
    return len(signer) == len(P256Key("any").signer)


def _halves(signature: bytes) -> tuple[bytes, bool]:
    """Return r|s and whether y is odd, of a signature of any of the three lengths."""
    if len(signature) == P256_LENGTH:
        return signature[64:], False
    if len(signature) == 65:
        return signature[:64], signature[64] == 28
    s = int.from_bytes(signature[32:], "big")
    return signature[:32] + (s & ~(1 << 255)).to_bytes(32, "big"), bool(s >> 255)
