"""What a reading must be to come after another: the rules of the chain, on the numbers alone.

One copy of each rule, for a meter's log, a renter's agent and the platform, whatever they hold a reading in.
"""

from enum import IntEnum
from typing import NamedTuple

from hireling.rental.errors import ReadingRefused
from hireling.rental.values import to_hex


class ReadingEvent(IntEnum):
    """What happened at this reading."""

    BEGIN = 0
    CONTINUE = 1
    SUSPEND = 2
    RESUME = 3
    END = 4


class ClockQuality(IntEnum):
    """Whether the device trusts its wall clock."""

    UNSYNCHRONISED = 0
    SYNCHRONISED = 1


# Looked up in their classes at every reading, these would cost about as much as the rules themselves.
_BEGIN, _END = int(ReadingEvent.BEGIN), int(ReadingEvent.END)
SYNCHRONISED = int(ClockQuality.SYNCHRONISED)


class Measured(NamedTuple):
    """What the rules ask of a reading, without the models around it."""

    seq: int
    amount_due: int
    last: bool
    previous: bytes
    counters: tuple[int, ...]
    boot: bytes
    monotonic_ms: int
    wall_ms: int
    clock: int
    event: int


def check_follows(before: Measured | None, after: Measured, *, head: bytes) -> None:
    """Raise ReadingRefused unless `after` may be the next reading.

    ``head`` is the hash of the one before; of the first, the rental's id.
    """
    _check_place(before, after, head)
    _check_form(after)
    if before is not None:
        _check_growth(before, after)


def _check_place(before: Measured | None, after: Measured, head: bytes) -> None:
    if before is not None and before.last:
        raise ReadingRefused("after_last", f"number {after.seq} comes after the last, {before.seq}")
    expected = 0 if before is None else before.seq + 1
    if after.seq > expected:
        raise ReadingRefused("gap", f"number {after.seq} came where {expected} is next")
    if after.previous != head:
        raise ReadingRefused(
            "broken_chain", f"number {after.seq} follows {to_hex(after.previous)}, not {to_hex(head)}"
        )


def _check_form(after: Measured) -> None:
    begins, ends = after.event == _BEGIN, after.event == _END
    if begins != (after.seq == 0):
        raise ReadingRefused("malformed", f"number {after.seq} has event {_name(after)}; number 0 begins")
    if ends != after.last:
        raise ReadingRefused("malformed", f"number {after.seq} has event {_name(after)}; the last one ends")
    if begins and any(after.counters):
        raise ReadingRefused("malformed", f"counters begin at {list(after.counters)}, not at 0")


def _check_growth(before: Measured, after: Measured) -> None:
    if len(before.counters) != len(after.counters):
        raise ReadingRefused("malformed", f"{len(after.counters)} counters follow {len(before.counters)}")
    for index, low in enumerate(before.counters):
        high = after.counters[index]
        if high < low:
            raise ReadingRefused("counter_fell", f"counter {index} fell from {low} to {high} at {after.seq}")
    if after.amount_due < before.amount_due:
        raise ReadingRefused(
            "amount_fell", f"the amount fell from {before.amount_due} to {after.amount_due} at {after.seq}"
        )
    if after.monotonic_ms < before.monotonic_ms and before.boot == after.boot:
        raise ReadingRefused(
            "clock_fell",
            f"the clock fell from {before.monotonic_ms} to {after.monotonic_ms} ms at {after.seq}",
        )


def _name(reading: Measured) -> str:
    return ReadingEvent(reading.event).name
