"""Many claims as the calldata of one transaction, and what the escrow answers for each. Pure.

Integers are big-endian and nothing is padded:

    group = owner 32 | token 20 | fee_to 20 | fee_bps 2 | rows 1, then its rows
    row = flags 1 | rules 32 | meter 20 or 64 | renter_agent 20 or 64 | max_total 12 | block_max 12
        | max_rate_per_hour 12 | start_at 5 | claim_window 4 | seq 8 | amount_due 12 | sample 32
        | max_claimable 12 | ack_amount 12 | ack_reading 32 | meter's r, s 64 | renter_agent's r, s 64

A P-256 signature carries its point and a secp256k1 one its parity; here the row's key and flags carry both.
Source: PackedClaims in the contracts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from types import MappingProxyType

from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import SignedReading
from hireling.rental.signing import P256_SIGNATURE_BYTES, SECP256K1_SIGNATURE_BYTES
from hireling.rental.terms import Agreement, Pay, account_of
from hireling.rental.typed_data import hash_struct, to_hex

MOST_ROWS = 256
MOST_ROWS_OF_A_GROUP = 255
ADDRESS_BYTES, POINT_BYTES = 20, 64
V_EVEN, V_ODD = 27, 28
# One row of what the escrow logs of a batch: rental id 32, paid 12, tail 12, outcome 1, zero 7.
LOGGED_ROW_BYTES = 64


class Unpackable(ValueError):
    """A claim, or too many of them, that the packed form cannot say."""


class ClaimOutcome(IntEnum):
    """What became of a row. Source: ClaimOutcome in the contracts."""

    CLAIMED = 0
    NOTHING_NEW = 1
    NOT_OPEN = 2
    ALREADY_SPLIT = 3
    TOO_LATE = 4
    OTHER_RENTAL = 5
    BAD_METER_SIGNATURE = 6
    BAD_RENTER_AGENT_SIGNATURE = 7


class Flag(IntFlag):
    """The bits of a row's first byte."""

    LAST = 1
    METER_P256 = 2
    RENTER_AGENT_P256 = 4
    METER_ODD = 8
    RENTER_AGENT_ODD = 16


# Which bits say that a key is a P-256 point, and that its secp256k1 signature's parity is odd.
METER_FLAGS = (Flag.METER_P256, Flag.METER_ODD)
RENTER_AGENT_FLAGS = (Flag.RENTER_AGENT_P256, Flag.RENTER_AGENT_ODD)


@dataclass(frozen=True)
class Evidence:
    """What one rental is claimed with."""

    agreement: Agreement
    reading: SignedReading
    ceiling: SignedCeiling


@dataclass(frozen=True)
class LoggedRow:
    """What the escrow says of one row: cumulative amounts in base units, both 0 where it was skipped."""

    rental_id: bytes
    paid: int
    tail: int
    outcome: int


def pack(claims: Sequence[Evidence]) -> bytes:
    """Return the batch, claims with the same owner, token and fee in one group. Raises Unpackable."""
    if not 1 <= len(claims) <= MOST_ROWS:
        raise Unpackable(f"a batch has 1 to {MOST_ROWS} rows, not {len(claims)}")
    rows_of: dict[bytes, list[bytes]] = {}
    for claim in claims:
        rows_of.setdefault(_shared(claim.agreement.pay), []).append(pack_row(claim))
    return b"".join(group for shared, rows in rows_of.items() for group in _groups(shared, rows))


def pack_row(claim: Evidence) -> bytes:
    """Return one claim's row. Raises Unpackable where a key or a signature is of another kind."""
    pay, read, allowed = claim.agreement.pay, claim.reading.reading, claim.ceiling.ceiling
    if read.rental_id != allowed.rental_id:
        raise Unpackable(f"a reading of {to_hex(read.rental_id)}, a ceiling of {to_hex(allowed.rental_id)}")
    meter_flags, meter_signature = _signed_by(pay.meter, claim.reading.signature, METER_FLAGS)
    agent_flags, agent_signature = _signed_by(pay.renter_agent, claim.ceiling.signature, RENTER_AGENT_FLAGS)
    flags = meter_flags | agent_flags | (Flag.LAST if read.last else Flag(0))
    return b"".join(
        (
            flags.to_bytes(1),
            hash_struct(claim.agreement.rules),
            pay.meter,
            pay.renter_agent,
            pay.max_total.to_bytes(12),
            pay.block_max.to_bytes(12),
            pay.max_rate_per_hour.to_bytes(12),
            pay.start_at.to_bytes(5),
            pay.claim_window.to_bytes(4),
            read.seq.to_bytes(8),
            read.amount_due.to_bytes(12),
            hash_struct(read.sample),
            allowed.max_claimable.to_bytes(12),
            allowed.ack_amount.to_bytes(12),
            allowed.ack_reading,
            meter_signature,
            agent_signature,
        )
    )


def logged_rows(rows: bytes) -> list[LoggedRow]:
    """Return what a ClaimedMany log says of each row. Raises ValueError where it is no such log."""
    if len(rows) % LOGGED_ROW_BYTES:
        raise ValueError(f"{len(rows)} bytes of rows are no multiple of {LOGGED_ROW_BYTES}")
    return [_logged_row(rows[at : at + LOGGED_ROW_BYTES]) for at in range(0, len(rows), LOGGED_ROW_BYTES)]


def outcome_name(outcome: int) -> str:
    """Return an outcome's name, its number where a newer contract has more of them."""
    return OUTCOME_NAMES.get(outcome, f"OUTCOME_{outcome}")


OUTCOME_NAMES: Mapping[int, str] = MappingProxyType({each.value: each.name for each in ClaimOutcome})


def _shared(pay: Pay) -> bytes:
    return account_of(pay.owner) + pay.token + pay.fee_to + pay.fee_bps.to_bytes(2)


def _groups(shared: bytes, rows: Sequence[bytes]) -> Iterator[bytes]:
    for at in range(0, len(rows), MOST_ROWS_OF_A_GROUP):
        part = rows[at : at + MOST_ROWS_OF_A_GROUP]
        yield b"".join((shared, len(part).to_bytes(1), *part))


def _signed_by(key: bytes, signature: bytes, flags: tuple[Flag, Flag]) -> tuple[Flag, bytes]:
    """Return what the row's flags say of a key and its signature, and the signature's r and s."""
    is_p256, is_odd = flags
    if (len(key), len(signature)) == (POINT_BYTES, P256_SIGNATURE_BYTES):
        if signature[:POINT_BYTES] != key:
            raise Unpackable(f"{to_hex(key)} did not sign: the signature is another point's")
        return is_p256, signature[POINT_BYTES:]
    if (len(key), len(signature)) == (ADDRESS_BYTES, SECP256K1_SIGNATURE_BYTES):
        v = signature[-1]
        if v not in (V_EVEN, V_ODD):
            raise Unpackable(f"v is {v}, not {V_EVEN} or {V_ODD}")
        return is_odd if v == V_ODD else Flag(0), signature[:-1]
    raise Unpackable(f"a key of {len(key)} bytes with a signature of {len(signature)}")


def _logged_row(row: bytes) -> LoggedRow:
    return LoggedRow(
        rental_id=row[:32],
        paid=int.from_bytes(row[32:44]),
        tail=int.from_bytes(row[44:56]),
        outcome=row[56],
    )
