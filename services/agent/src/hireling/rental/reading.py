"""Readings: the meter's signed, gapless, hash-chained account of use. All its numbers are cumulative."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated

from pydantic import Field

from hireling.rental.errors import ReadingRefused, SignatureMismatch
from hireling.rental.signing import Signer, signer_of
from hireling.rental.typed_data import (
    Bool,
    Bytes32,
    Document,
    Domain,
    HexBytes,
    TypedData,
    Uint32,
    Uint64,
    Uint96,
    Uint256,
    digest_of_hash,
    hash_struct,
    to_hex,
)
from hireling.rental.values import Integer

MOST_COUNTERS = 16


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


class Sample(TypedData):
    """What the chain never reads of a reading.

    ``previous`` is the hashStruct of the reading before, the rental's id for the first. ``monotonic_ms``
    counts within one ``boot`` and never falls; durations come from it. ``flags`` are the device's error bits.
    """

    previous: Bytes32
    counters: tuple[Uint256, ...] = Field(max_length=MOST_COUNTERS)
    boot: Bytes32
    monotonic_ms: Uint64
    wall_ms: Uint64
    clock: Annotated[ClockQuality, Integer(8, names=ClockQuality)]
    event: Annotated[ReadingEvent, Integer(8, names=ReadingEvent)]
    flags: Uint32


class Reading(TypedData):
    """One reading.

    ``amount_due`` is the price of the counters so far, in base units; after ``last`` there is nothing.
    """

    rental_id: Bytes32
    seq: Uint64
    amount_due: Uint96
    last: Bool
    sample: Sample


class SignedReading(Document):
    """A reading as it travels: the domain it is signed in, and the meter's signature."""

    domain: Domain
    reading: Reading
    signature: HexBytes


def reading_hash(reading: Reading) -> bytes:
    """Return the reading's hashStruct.

    What the next one names as ``previous``, and what a ceiling acknowledges.
    """
    return hash_struct(reading)


def sign_reading(key: Signer, domain: Domain, reading: Reading) -> SignedReading:
    """Return the reading signed by the meter's key."""
    signature = key.sign_digest(digest_of_hash(domain, hash_struct(reading)))
    return SignedReading(domain=domain, reading=reading, signature=signature)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingRun:
    """Readings that follow each other, their hashes and signatures, and who signed the last: for all of them.

    Each names the hash of the one before, so that the last hash is of the whole run. Making one is the costly
    part of believing readings, and needs to know nothing of the rental. ``signer`` is None where nobody made
    the last signature, and ``fault`` then says why. The other signatures are not checked.
    """

    domain: Domain
    readings: tuple[Reading, ...]
    hashes: tuple[bytes, ...]
    signatures: tuple[bytes, ...]
    signer: bytes | None
    fault: str = ""

    @property
    def first(self) -> Reading:
        """Return the reading with the lowest number."""
        return self.readings[0]

    @property
    def head(self) -> Reading:
        """Return the reading with the highest number, whose signature proves all."""
        return self.readings[-1]


def run_of(
    domain: Domain, readings: tuple[Reading, ...], *, hashes: tuple[bytes, ...], signatures: tuple[bytes, ...]
) -> ReadingRun:
    """Find out who signed readings that are known to follow each other, in the domain that they name."""
    signer, fault = None, ""
    try:
        signer = signer_of(digest_of_hash(domain, hashes[-1]), signatures[-1])
    except SignatureMismatch as error:
        fault = str(error)
    return ReadingRun(
        domain=domain, readings=readings, hashes=hashes, signatures=signatures, signer=signer, fault=fault
    )


def run_of_one(signed: SignedReading) -> ReadingRun:
    """Return a single signed reading as the run that it is."""
    hashes = (hash_struct(signed.reading),)
    return run_of(signed.domain, (signed.reading,), hashes=hashes, signatures=(signed.signature,))


@dataclass(frozen=True)
class ReadingChain:
    """The accepted readings of one rental, remembered by their head.

    ``accept`` returns the longer chain or refuses.
    """

    rental_id: bytes
    meter: bytes
    domain: Domain
    head_hash: bytes = b""
    last: Reading | None = None

    def __post_init__(self) -> None:
        if self.last is None:
            object.__setattr__(self, "head_hash", self.rental_id)

    @property
    def next_seq(self) -> int:
        """Return the number that comes next."""
        return 0 if self.last is None else self.last.seq + 1

    @classmethod
    def resumed(
        cls, *, rental_id: bytes, meter: bytes, domain: Domain, last: Reading | None
    ) -> "ReadingChain":
        """Return the chain that ends with ``last``, which was accepted before."""
        head = rental_id if last is None else hash_struct(last)
        return cls(rental_id=rental_id, meter=meter, domain=domain, head_hash=head, last=last)

    def accept(self, signed: SignedReading, *, known_hash: bytes | None = None) -> "ReadingChain":
        """Return the chain with ``signed`` at its end; the same chain for one it already has.

        Raises ReadingRefused.

        A number before the head is compared with ``known_hash``, the hash that was accepted under it: the
        chain itself remembers its head only, and without it takes such a number for a conflicting one. The
        signature is checked before the number, so a conflict is always the meter's own.
        """
        run = run_of_one(signed)
        self.check_authentic(run)
        return self.extended(signed.reading, hashed=run.hashes[0], known_hash=known_hash)

    def extended(self, reading: Reading, *, hashed: bytes, known_hash: bytes | None = None) -> "ReadingChain":
        """Do as `accept` for a reading with this hash that is authentic."""
        if self.last is not None and reading.seq <= self.last.seq:
            known = self.head_hash if reading.seq == self.last.seq else known_hash
            if hashed != known:
                raise ReadingRefused(
                    "conflicting_number",
                    f"number {reading.seq} was another reading; this is {to_hex(hashed)}",
                )
            return self
        self._check_place(reading)
        self._check_form(reading)
        self._check_growth(reading)
        return replace(self, head_hash=hashed, last=reading)

    def check_authentic(self, run: ReadingRun) -> None:
        """Raise ReadingRefused unless this rental's meter signed the run, in this domain."""
        if run.domain != self.domain:
            raise ReadingRefused(
                "wrong_domain",
                f"signed for chain {run.domain.chain_id} and escrow {to_hex(run.domain.escrow)}, "
                f"not {self.domain.chain_id} and {to_hex(self.domain.escrow)}",
            )
        reading = run.head
        if reading.rental_id != self.rental_id:
            raise ReadingRefused(
                "unknown_rental", f"of rental {to_hex(reading.rental_id)}, not {to_hex(self.rental_id)}"
            )
        if run.signer is None:
            raise ReadingRefused("wrong_key", f"number {reading.seq}: {run.fault}")
        if run.signer != self.meter:
            raise ReadingRefused(
                "wrong_key",
                f"number {reading.seq} is signed by {to_hex(run.signer)}, "
                f"not by the meter {to_hex(self.meter)}",
            )

    def _check_place(self, reading: Reading) -> None:
        if self.last is not None and self.last.last:
            raise ReadingRefused("after_last", f"number {reading.seq} comes after the last, {self.last.seq}")
        if reading.seq > self.next_seq:
            raise ReadingRefused("gap", f"number {reading.seq} came where {self.next_seq} is next")
        if reading.sample.previous != self.head_hash:
            raise ReadingRefused(
                "broken_chain",
                f"number {reading.seq} follows {to_hex(reading.sample.previous)}, "
                f"not {to_hex(self.head_hash)}",
            )

    def _check_form(self, reading: Reading) -> None:
        sample = reading.sample
        if (sample.event == ReadingEvent.BEGIN) != (reading.seq == 0):
            raise ReadingRefused(
                "malformed", f"number {reading.seq} has event {sample.event.name}; number 0 begins"
            )
        if (sample.event == ReadingEvent.END) != reading.last:
            raise ReadingRefused(
                "malformed", f"number {reading.seq} has event {sample.event.name}; the last one ends"
            )
        if reading.seq == 0 and any(sample.counters):
            raise ReadingRefused("malformed", f"counters begin at {list(sample.counters)}, not at 0")

    def _check_growth(self, reading: Reading) -> None:
        if self.last is None:
            return
        before, after = self.last.sample, reading.sample
        if len(before.counters) != len(after.counters):
            raise ReadingRefused("malformed", f"{len(after.counters)} counters follow {len(before.counters)}")
        for index, (low, high) in enumerate(zip(before.counters, after.counters, strict=True)):
            if high < low:
                raise ReadingRefused(
                    "counter_fell", f"counter {index} fell from {low} to {high} at {reading.seq}"
                )
        if reading.amount_due < self.last.amount_due:
            raise ReadingRefused(
                "amount_fell",
                f"the amount fell from {self.last.amount_due} to {reading.amount_due} at {reading.seq}",
            )
        if before.boot == after.boot and after.monotonic_ms < before.monotonic_ms:
            raise ReadingRefused(
                "clock_fell",
                f"the clock fell from {before.monotonic_ms} to {after.monotonic_ms} ms at {reading.seq}",
            )


def check_rates(
    before: Sample, after: Sample, *, max_per_second: Sequence[int], slack_ms: int = 1000
) -> None:
    """Raise ReadingRefused if a counter grew faster than ``max_per_second`` (per real second).

    Compared are two samples of one boot.

    ``slack_ms`` allows for a meter that counts in steps. Across boots the time between is unknown, and
    nothing is checked.
    """
    if before.boot != after.boot:
        return
    elapsed_ms = after.monotonic_ms - before.monotonic_ms
    for index, most in enumerate(max_per_second):
        grown = after.counters[index] - before.counters[index]
        if grown * 1000 > most * (elapsed_ms + slack_ms):
            raise ReadingRefused(
                "implausible_rate",
                f"counter {index} grew by {grown} in {elapsed_ms} ms, at most {most} a second",
            )
