"""Batches: a run of readings in one message, believed by one signature and the chain that they form.

Each reading keeps the signature that it was logged with, so that a bill, a claim or a fraud proof can take it
out of its batch; a receiver needs to check only the last one, because every reading names the hash of the one
before. See docs/adr/0008.
"""

from collections.abc import Sequence

from pydantic import Field

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import ReadingRun, SignedReading, measured, run_of
from hireling.rental.typed_data import Document, hash_struct, to_hex

MOST_IN_BATCH = 100


class ReadingBatch(Document):
    """Readings of one rental that follow each other, ascending, as they travel together."""

    readings: tuple[SignedReading, ...] = Field(min_length=1, max_length=MOST_IN_BATCH)


def batch_wire(wires: Sequence[str]) -> str:
    """Return a batch as it travels, from readings as they travel: not a byte of them is written anew."""
    return f'{{"readings":[{",".join(wires)}]}}'


def batch_body(wire: str) -> str:
    """Return the readings of a batch as they stand in it, between its brackets."""
    return wire[len(_BEGINS) : -len(_ENDS)]


_BEGINS, _ENDS = batch_wire(["|"]).split("|")


def run_of_batch(batch: ReadingBatch) -> ReadingRun:
    """Return the run that a batch claims to be, with the signer of its last reading.

    Raises ReadingRefused where the readings do not follow each other: ``wrong_domain``, ``unknown_rental``,
    ``gap`` or ``broken_chain``. Somebody tore, reordered or altered the batch, or the meter lies.
    """
    first = batch.readings[0]
    hashes: list[bytes] = []
    for number, signed in enumerate(batch.readings):
        reading = signed.reading
        if signed.domain != first.domain:
            raise ReadingRefused("wrong_domain", f"number {reading.seq} is of another domain than the first")
        if reading.rental_id != first.reading.rental_id:
            raise ReadingRefused("unknown_rental", f"place {number} is of rental {to_hex(reading.rental_id)}")
        if reading.seq != first.reading.seq + number:
            raise ReadingRefused("gap", f"number {reading.seq} at place {number} after {first.reading.seq}")
        if hashes and reading.sample.previous != hashes[-1]:
            raise ReadingRefused(
                "broken_chain",
                f"number {reading.seq} follows {to_hex(reading.sample.previous)}, not {to_hex(hashes[-1])}",
            )
        hashes.append(hash_struct(reading))
    return run_of(
        first.domain,
        first.reading.rental_id,
        [measured(signed.reading) for signed in batch.readings],
        hashes=hashes,
        signature=batch.readings[-1].signature,
    )
