"""Readings: the meter's signed, gapless, hash-chained account of use. All its numbers are cumulative."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from hireling.rental.chain_rules import ClockQuality, Measured, ReadingEvent, check_follows
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

__all__ = [
    "ClockQuality", "Measured", "Reading", "ReadingChain", "ReadingEvent", "ReadingRun", "Sample",
    "SignedReading", "check_domain", "check_rates", "check_signer", "measured", "reading_hash", "run_of",
    "run_of_one", "sign_reading",
]  # fmt: skip

MOST_COUNTERS = 16


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


def measured(reading: Reading) -> Measured:
    """Return what the rules of the chain ask of a reading."""
    sample = reading.sample
    return Measured(
        seq=reading.seq,
        amount_due=reading.amount_due,
        last=reading.last,
        previous=sample.previous,
        counters=sample.counters,
        boot=sample.boot,
        monotonic_ms=sample.monotonic_ms,
        wall_ms=sample.wall_ms,
        clock=sample.clock,
        event=sample.event,
    )


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
    """Readings of one rental that follow each other, their hashes, and who signed the last: for all of them.

    Each names the hash of the one before, so that the last hash is of the whole run. Making one is the costly
    part of believing readings, and needs to know nothing of the rental. ``signer`` is None where nobody made
    the last signature, and ``fault`` then says why. The other signatures are not checked.
    """

    domain: Domain
    rental_id: bytes
    readings: tuple[Measured, ...]
    hashes: tuple[bytes, ...]
    signer: bytes | None
    fault: str = ""

    @property
    def first(self) -> Measured:
        """Return the reading with the lowest number."""
        return self.readings[0]

    @property
    def head(self) -> Measured:
        """Return the reading with the highest number, whose signature proves all."""
        return self.readings[-1]


def run_of(
    domain: Domain,
    rental_id: bytes,
    readings: Iterable[Measured],
    *,
    hashes: Sequence[bytes],
    signature: bytes,
) -> ReadingRun:
    """Find out who signed readings that are known to follow each other, in the domain that they name."""
    signer, fault = None, ""
    try:
        signer = signer_of(digest_of_hash(domain, hashes[-1]), signature)
    except SignatureMismatch as error:
        fault = str(error)
    return ReadingRun(
        domain=domain,
        rental_id=rental_id,
        readings=tuple(readings),
        hashes=tuple(hashes),
        signer=signer,
        fault=fault,
    )


def run_of_one(signed: SignedReading) -> ReadingRun:
    """Return a single signed reading as the run that it is."""
    reading = signed.reading
    return run_of(
        signed.domain,
        reading.rental_id,
        [measured(reading)],
        hashes=[hash_struct(reading)],
        signature=signed.signature,
    )


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
        before = None if self.last is None else measured(self.last)
        check_follows(before, measured(reading), head=self.head_hash)
        return replace(self, head_hash=hashed, last=reading)

    def check_authentic(self, run: ReadingRun) -> None:
        """Raise ReadingRefused unless this rental's meter signed the run, in this domain."""
        check_domain(run.domain, self.domain)
        if run.rental_id != self.rental_id:
            raise ReadingRefused(
                "unknown_rental", f"of rental {to_hex(run.rental_id)}, not {to_hex(self.rental_id)}"
            )
        check_signer(run.signer, self.meter, seq=run.head.seq, fault=run.fault)


def check_domain(found: Domain, expected: Domain) -> None:
    """Raise ReadingRefused unless a reading is signed for the right chain and contract."""
    if found.chain_id != expected.chain_id or found.escrow != expected.escrow:
        raise ReadingRefused(
            "wrong_domain",
            f"signed for chain {found.chain_id} and escrow {to_hex(found.escrow)}, "
            f"not {expected.chain_id} and {to_hex(expected.escrow)}",
        )


def check_signer(signer: bytes | None, meter: bytes, *, seq: int, fault: str) -> None:
    """Raise ReadingRefused unless the meter signed this number; ``fault`` says why nobody did."""
    if signer is None:
        raise ReadingRefused("wrong_key", f"number {seq}: {fault}")
    if signer != meter:
        raise ReadingRefused(
            "wrong_key", f"number {seq} is signed by {to_hex(signer)}, not by the meter {to_hex(meter)}"
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
