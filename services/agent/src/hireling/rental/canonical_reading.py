"""Readings as meters write them, hashed and chained straight from the text: the fast way to a `ReadingRun`.

The pattern comes from `SignedReading` itself; the encoding of EIP-712 is written out here, for this one type,
and held to the general one by tests. Whatever is not in our own form, or does not hold together, is left to
`run_of_one` and `run_of_batch`, which say what is wrong.
"""

import re
from struct import Struct
from typing import NamedTuple

from hireling.rental.batch import MOST_IN_BATCH, batch_wire
from hireling.rental.canonical import leaves_of, list_items, pattern_of
from hireling.rental.hashing import keccak256
from hireling.rental.reading import Measured, Reading, ReadingRun, Sample, SignedReading, run_of
from hireling.rental.typed_data import domain_of, type_hash

_READING_TYPE, _SAMPLE_TYPE = type_hash(Reading), type_hash(Sample)
# An integer of up to 64 bits is a word of 32 bytes; a sample ends with five of them.
_WORD, _FIVE_WORDS = Struct(">24xQ").pack, Struct(">24xQ24xQ24xQ24xQ24xQ").pack
_FALSE, _TRUE = _WORD(0), _WORD(1)

_matched = re.compile(pattern_of(SignedReading), re.ASCII).match
_BATCH_BEGINS, _BATCH_ENDS = batch_wire(["|"]).split("|")


class _Text(NamedTuple):
    """The texts of a reading's fields, in the order in which they travel."""

    chain_id: str
    escrow: str
    rental_id: str
    seq: str
    amount_due: str
    last: str
    previous: str
    counters: str
    boot: str
    monotonic_ms: str
    wall_ms: str
    clock: str
    event: str
    flags: str
    signature: str


if _Text._fields != tuple(leaves_of(SignedReading)):
    raise TypeError("a SignedReading has other fields than this module reads")


def run_in_reading(text: str) -> ReadingRun | None:
    """Return the run that a SignedReading's JSON is, or None where the models must decide."""
    match = _matched(text)
    if match is None or match.end() != len(text):
        return None
    return _run([_Text._make(match.groups())])


def run_in_batch(text: str) -> ReadingRun | None:
    """Return the run that a ReadingBatch's JSON is, or None where the models must decide."""
    place, end = len(_BATCH_BEGINS), len(text) - len(_BATCH_ENDS)
    if not (text.startswith(_BATCH_BEGINS) and text.endswith(_BATCH_ENDS)):
        return None
    texts: list[_Text] = []
    while place < end:
        match = _matched(text, place, end)
        if match is None or len(texts) == MOST_IN_BATCH:
            return None
        texts.append(_Text._make(match.groups()))
        place = match.end() + 1
        if place <= end and (place == end or text[place - 1] != ","):
            return None
    return _run(texts) if texts else None


def _run(texts: list[_Text]) -> ReadingRun | None:
    """Return the run, where each reading follows the one before; its other rules are the chain's."""
    first = texts[0]
    rental_id, next_seq = bytes.fromhex(first.rental_id), int(first.seq)
    readings, hashes, head = [], [], first.previous
    for text in texts:
        same = (
            text.previous == head
            and text.rental_id == first.rental_id
            and text.chain_id == first.chain_id
            and text.escrow == first.escrow
        )
        reading = _measured(text)
        if not same or reading.seq != next_seq:
            return None
        hashed = _hash(rental_id, reading, flags=int(text.flags))
        readings.append(reading)
        hashes.append(hashed)
        head, next_seq = hashed.hex(), next_seq + 1
    domain = domain_of(int(first.chain_id), bytes.fromhex(first.escrow))
    signature = bytes.fromhex(texts[-1].signature)
    return run_of(domain, rental_id, readings, hashes=hashes, signature=signature)


def _measured(text: _Text) -> Measured:
    return Measured(
        int(text.seq),
        int(text.amount_due),
        text.last == "true",
        bytes.fromhex(text.previous),
        tuple(map(int, list_items(text.counters))),
        bytes.fromhex(text.boot),
        int(text.monotonic_ms),
        int(text.wall_ms),
        int(text.clock),
        int(text.event),
    )


def _hash(rental_id: bytes, reading: Measured, *, flags: int) -> bytes:
    """Return EIP-712's hashStruct of a reading."""
    counters = b"".join([counter.to_bytes(32, "big") for counter in reading.counters])
    numbers = _FIVE_WORDS(reading.monotonic_ms, reading.wall_ms, reading.clock, reading.event, flags)
    sample = keccak256(b"".join((_SAMPLE_TYPE, reading.previous, keccak256(counters), reading.boot, numbers)))
    amount_due = reading.amount_due.to_bytes(32, "big")
    last = _TRUE if reading.last else _FALSE
    return keccak256(b"".join((_READING_TYPE, rental_id, _WORD(reading.seq), amount_due, last, sample)))
