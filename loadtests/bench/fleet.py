"""Devices with a rental each, and everything they will publish, signed before anything is measured."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pool

from sqlalchemy import insert

from hireling.rental.batch import batch_wire
from hireling.rental.reading import ClockQuality, Reading, ReadingEvent, Sample, reading_hash, sign_reading
from hireling.rental.signing import P256Key, Secp256k1Key
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.metering.models import Rental
from tests.builders import DOMAIN, NOW, RENTER_AGENT_KEY

ONE_SECOND_MS = 1_000
LARGEST_GROWTH = 10
RENTALS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Letter:
    """What a device publishes at once: up to which number, and how many readings."""

    topic: str
    rental_id: str
    seq: int
    readings: int
    payload: bytes


@dataclass(frozen=True)
class Machine:
    """A device, its key, and its rental."""

    number: int
    key: Secp256k1Key | P256Key
    rental_id: bytes

    @classmethod
    def make(cls, number: int, *, p256: bool = False) -> "Machine":
        """Return a device whose key and rental follow from its number."""
        secret = hashlib.sha256(f"device {number}".encode()).digest()
        key = P256Key(secret) if p256 else Secp256k1Key(secret)
        return cls(number, key, hashlib.sha256(f"rental {number}".encode()).digest())

    @property
    def device(self) -> str:
        """Return the device's id, 0x-hex."""
        return to_hex(hashlib.sha256(self.key.identity).digest())

    @property
    def topic(self) -> str:
        """Return where it publishes readings."""
        return f"hireling/{self.device}/readings"

    def row(self) -> Rental:
        """Return what metering knows of the rental; its rates are bounded from a year ago."""
        return Rental(
            rental_id=to_hex(self.rental_id),
            device=self.device,
            meter=to_hex(self.key.identity),
            renter_agent=to_hex(RENTER_AGENT_KEY.identity),
            chain_id=DOMAIN.chain_id,
            escrow=to_hex(DOMAIN.escrow),
            counter_caps=[LARGEST_GROWTH, LARGEST_GROWTH],
            start_at=0,
            end_by=int(NOW.timestamp()),
            max_total=str(10**9),
            agreed_at=NOW,
            oldest_at=NOW,
            newest_at=NOW,
        )

    def readings(self, count: int) -> Iterator[Reading]:
        """Return the first `count` readings, one a second."""
        previous = self.rental_id
        for number in range(count):
            reading = Reading(
                rental_id=self.rental_id,
                seq=number,
                amount_due=number * 7,
                last=False,
                sample=Sample(
                    previous=previous,
                    counters=(number * 3, number),
                    boot=hashlib.sha256(b"boot").digest(),
                    monotonic_ms=number * ONE_SECOND_MS,
                    wall_ms=1_700_000_000_000 + number * ONE_SECOND_MS,
                    clock=ClockQuality.SYNCHRONISED,
                    event=ReadingEvent.CONTINUE if number else ReadingEvent.BEGIN,
                    flags=0,
                ),
            )
            previous = reading_hash(reading)
            yield reading

    def batch_letters(self, count: int, *, size: int) -> list[Letter]:
        """Return the first `count` readings in batches of `size`."""
        singles = self.single_letters(count)
        letters = []
        for start in range(0, count, size):
            some = singles[start : start + size]
            wire = batch_wire([letter.payload.decode() for letter in some])
            topic = self.topic.replace("/readings", "/batches")
            letters.append(Letter(topic, some[-1].rental_id, some[-1].seq, len(some), wire.encode()))
        return letters

    def single_letters(self, count: int) -> list[Letter]:
        """Return the first `count` readings, each signed by itself."""
        rental_id = to_hex(self.rental_id)
        return [
            Letter(
                self.topic,
                rental_id,
                reading.seq,
                1,
                sign_reading(self.key, DOMAIN, reading).model_dump_json().encode(),
            )
            for reading in self.readings(count)
        ]


def register(database: Database, machines: Sequence[Machine]) -> None:
    """Make the rentals known to metering."""
    for start in range(0, len(machines), RENTALS_AT_ONCE):
        rows = [machine.row().model_dump() for machine in machines[start : start + RENTALS_AT_ONCE]]
        with database.unit_of_work() as session:
            session.execute(insert(Rental), rows)


def signed_ahead(machines: Sequence[Machine], count: int, *, size: int = 1) -> list[Letter]:
    """Return the first `count` readings of each machine, by `size` in a letter, signed on every core."""
    with Pool() as pool:
        jobs = [(machine.number, count, size) for machine in machines]
        return interleaved(pool.starmap(_letters_of, jobs, chunksize=1))


def _letters_of(number: int, count: int, size: int) -> list[Letter]:
    machine = Machine.make(number)  # its key cannot be sent to another process
    return machine.single_letters(count) if size == 1 else machine.batch_letters(count, size=size)


def interleaved(letters: Sequence[Sequence[Letter]]) -> list[Letter]:
    """Return all devices' letters as they come: each device's in order, the devices in turn."""
    return [letter for together in zip(*letters, strict=True) for letter in together]


class Cut:
    """Letters, cut off piece by piece from the front."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self._letters = letters
        self._place = 0

    def __call__(self, count: int) -> Sequence[Letter]:
        """Return the next `count` letters. Raises IndexError where there are fewer."""
        end = self._place + count
        if end > len(self._letters):
            raise IndexError(f"{count} letters of {len(self._letters)} asked for at {self._place}")
        cut = self._letters[self._place : end]
        self._place = end
        return cut
