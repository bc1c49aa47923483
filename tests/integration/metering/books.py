"""Metering's database as tests look at it, and messages as they come off the broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel
from sqlalchemy import select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.reading import Reading, SignedReading, sign_reading
from hireling.rental.signing import Signer
from services.chassis.database import Database
from services.chassis.tables import OUTBOX
from services.metering.models import RefusalRow
from services.metering.recording import Answers, Recorder
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from services.metering.taking import rental_row
from services.metering.wire import Incoming, Opened, open_message
from tests.builders import METER_KEY, NOW, signed_agreement

LATER = NOW + timedelta(days=1)


@dataclass
class Books:
    """One rental in a database, and what metering wrote about it."""

    database: Database
    signed: SignedAgreement = field(default_factory=signed_agreement)

    @property
    def rental_id(self) -> str:
        """Return the rental's id as it travels."""
        return f"0x{self.signed.rental_id.hex()}"

    @property
    def device(self) -> str:
        """Return the device's id as it travels."""
        return f"0x{self.signed.agreement.rules.detail.device.hex()}"

    def agree(self, *, started: datetime = NOW) -> None:
        """Make the rental known; its rates are bounded from when it started."""
        row = rental_row(self.signed, now=NOW)
        row.start_at = int(started.timestamp())
        with self.database.unit_of_work() as session:
            Store(session).add_rental(row)

    def message(
        self, content: BaseModel | bytes, *, kind: str = "readings", at: datetime = LATER
    ) -> Incoming:
        """Return what the broker delivers when somebody publishes this on the device's topic."""
        payload = content if isinstance(content, bytes) else content.model_dump_json().encode()
        return Incoming(topic=f"hireling/{self.device}/{kind}", payload=payload, received_at=at)

    def messages(self, readings: Sequence[SignedReading]) -> list[Incoming]:
        """Return what the broker delivers when the device publishes these readings."""
        return [self.message(reading) for reading in readings]

    def accepted(self) -> list[dict[str, Any]]:
        """Return the accepted readings, ascending, as they travelled."""
        with self.database.snapshot() as session:
            return Store(session).readings(self.rental_id, after=-1, limit=100_000)

    def numbers(self) -> list[int]:
        """Return the numbers of the accepted readings."""
        return [int(wire["reading"]["seq"]) for wire in self.accepted()]

    def events(self, kind: str = "usage_accepted") -> list[dict[str, Any]]:
        """Return the events of a type that were told, in order."""
        query = select(OUTBOX.c.payload).where(OUTBOX.c.type == kind).order_by(OUTBOX.c.id)
        with self.database.snapshot() as session:
            return list(session.execute(query).scalars())

    def told(self) -> list[dict[str, Any]]:
        """Return the readings that were told on, in order, as they travelled."""
        return [wire for event in self.events() for wire in event["readings"]]

    def refusals(self) -> list[RefusalRow]:
        """Return the rental's refusals, newest last."""
        with self.database.snapshot() as session:
            return Store(session).refusals(self.rental_id)

    def refused(self) -> list[tuple[str | None, str]]:
        """Return number and code of each refusal that stands."""
        return [(row.seq, row.code) for row in self.refusals() if row.resolved_at is None]


@dataclass
class Clerk:
    """Records batches as ingest does, without a broker."""

    books: Books
    settings: MeteringSettings = field(default_factory=MeteringSettings)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder(self.books.database, settings=self.settings)

    def take(self, readings: Sequence[SignedReading], *, patient: bool = True) -> Answers:
        """Record readings as one batch."""
        return self.record(self.books.messages(readings), patient=patient)

    def record(self, batch: Sequence[Incoming], *, patient: bool = True) -> Answers:
        """Record messages as one batch."""
        return self.put_down(self.opened(batch), patient=patient)

    def opened(self, batch: Sequence[Incoming]) -> list[Opened]:
        """Open messages as ingest's threads do."""
        return [
            open_message(
                incoming, largest=self.settings.largest_payload, slack_seconds=self.settings.slack_seconds
            )
            for incoming in batch
        ]

    def put_down(self, opened: Sequence[Opened], *, patient: bool = True) -> Answers:
        """Record opened messages as one batch."""
        return self.recorder.record(opened, now=LATER, patient=patient)


def acked(answers: Answers) -> list[int]:
    """Return the numbers acknowledged to the device."""
    return [int(payload["seq"]) for topic, payload in answers.messages if topic.endswith("/acks")]


def codes(answers: Answers) -> list[str]:
    """Return the codes of the refusals the device is told."""
    return [payload["code"] for topic, payload in answers.messages if topic.endswith("/refusals")]


def resigned(signed: SignedReading, *, key: Signer = METER_KEY, **changes: Any) -> SignedReading:
    """Return a reading with changes, of itself or its sample, signed anew."""
    reading = signed.reading
    of_sample = {name: value for name, value in changes.items() if name in type(reading.sample).model_fields}
    of_reading = {name: value for name, value in changes.items() if name in Reading.model_fields}
    sample = reading.sample.model_copy(update=of_sample)
    return sign_reading(key, signed.domain, reading.model_copy(update={**of_reading, "sample": sample}))
