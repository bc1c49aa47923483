"""From a batch of messages to one transaction.

What counts is stored and told on, what does not is kept with its reason.

Runs in ingest's database thread. What devices are to be told is returned, for ingest to publish after the
commit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hireling.rental.anchoring import day_of
from hireling.rental.batch import batch_body
from hireling.rental.errors import CeilingRefused, ReadingRefused
from hireling.rental.reading import SignedReading, check_domain, check_signer, measured, reading_hash
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.outbox import add_events
from services.chassis.tracing import noted_in_rental
from services.messages.events.metering import UsageAccepted
from services.metering.ceilings import check_ceiling
from services.metering.downlink import Message, ack, topic_of
from services.metering.durable import Durable
from services.metering.remembered import Remembered
from services.metering.runs import MOST_IN_RUN, Run
from services.metering.series import Series
from services.metering.settings import MeteringSettings
from services.metering.store import Reached, Store
from services.metering.taking import (
    Taken,
    keep_refusals,
    run_row,
    take_ceiling,
    terms_of,
    waiting_row,
)
from services.metering.usage import Head, Terms
from services.metering.wire import (
    CeilingLetter,
    Letter,
    Opened,
    ReadingLetter,
    Refused,
    refused,
)

# An event is one message on the bus: large enough to be cheap, small enough to be taken at once. What is told
# in one event is stored in one row.
READINGS_IN_EVENT = MOST_IN_RUN
RENTALS_REMEMBERED = 10_000


@dataclass
class Answers:
    """What a committed batch leads to.

    Messages to publish, how often each code was refused, and the messages that came before their rental was
    known.
    """

    messages: list[Message] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    early: list[Letter] = field(default_factory=list)
    durable: Durable = field(default_factory=Durable)


@dataclass
class _Batch:
    """A batch being sorted: by rental what is signed rightly, and what is refused already."""

    readings: dict[str, list[ReadingLetter]] = field(default_factory=lambda: defaultdict(list))
    ceilings: dict[str, list[CeilingLetter]] = field(default_factory=lambda: defaultdict(list))
    refused: list[Refused] = field(default_factory=list)

    @property
    def rental_ids(self) -> list[str]:
        return sorted({*self.readings, *self.ceilings})


class Recorder:
    """Records batches, one after the other.

    It remembers terms and heads of chains, and the database is the truth.
    """

    def __init__(self, database: Database, *, settings: MeteringSettings) -> None:
        self._database = database
        self._settings = settings
        self._terms: Remembered[Terms] = Remembered(RENTALS_REMEMBERED)
        self._heads: Remembered[Head] = Remembered(RENTALS_REMEMBERED)

    def record(self, opened: Sequence[Opened], *, now: datetime, patient: bool = True) -> Answers:
        """Record a batch of opened messages in one transaction and return what follows from it.

        Where `patient`, a message of an unknown rental is returned as early; else it is refused. Raises only
        what the database raises, and then nothing is recorded and the same batch may be given again.
        """
        answers = Answers()
        sorted_batch = _Batch(refused=[each for each in opened if isinstance(each, Refused)])
        letters = [each for each in opened if not isinstance(each, Refused)]
        terms = self._find_terms({letter.rental_id for letter in letters})
        for letter in letters:
            if letter.rental_id in terms:
                self._sort(letter, terms[letter.rental_id], sorted_batch)
            elif patient:
                answers.early.append(letter)
            else:
                detail = f"no agreement of rental {letter.rental_id} is known here"
                sorted_batch.refused.append(refused(letter, code="unknown_rental", detail=detail))
        if sorted_batch.rental_ids or sorted_batch.refused:
            self._write(sorted_batch, terms, answers, now=now)
        return answers

    def _find_terms(self, rental_ids: set[str]) -> dict[str, Terms]:
        found, missing = self._terms.look_up(rental_ids)
        if missing:
            with self._database.looks() as session:
                rows = Store(session).measured_rentals(missing)
            fresh = {rental_id: terms_of(row) for rental_id, row in rows.items()}
            self._terms.update(fresh)
            found.update(fresh)
        return found

    def _sort(self, letter: Letter, terms: Terms, sorted_batch: _Batch) -> None:
        """Check that whoever signed is who must sign."""
        try:
            if isinstance(letter, ReadingLetter):
                check_domain(letter.domain, terms.domain)
                check_signer(letter.signer, terms.meter, seq=letter.seq, fault=letter.fault)
                sorted_batch.readings[letter.rental_id].append(letter)
            else:
                check_ceiling(terms, letter.signed)
                sorted_batch.ceilings[letter.rental_id].append(letter)
        except (ReadingRefused, CeilingRefused) as error:
            sorted_batch.refused.append(refused(letter, code=error.code, detail=error.detail))

    def _write(self, batch: _Batch, terms: Mapping[str, Terms], answers: Answers, *, now: datetime) -> None:
        # Every rental that is written to is locked first.
        with self._database.queue_work() as session:
            store = Store(session)
            reached = store.lock_series(batch.rental_ids)
            series = self._take_readings(store, batch, terms, reached, now=now)
            for rental_id, letters in batch.ceilings.items():
                batch.refused.extend(self._take_ceilings(store, letters, rental_id, now=now))
            refusals = [_attributed(store, one) for one in batch.refused]
            refusals += [one for each in series.values() for one in each.refused]
            keep_refusals(store, refusals, kept=self._settings.refusals_kept)
        self._heads.update({rental_id: each.head for rental_id, each in series.items()})
        answers.durable.note(taken for each in series.values() for taken in each.accepted)
        answers.messages += _acks(series)
        answers.messages += [(topic_of(one.device, "refusals"), one.notice) for one in refusals if one.device]
        answers.refused.update(one.code for one in refusals)

    def _take_readings(
        self,
        store: Store,
        batch: _Batch,
        terms: Mapping[str, Terms],
        reached: Mapping[str, Reached],
        *,
        now: datetime,
    ) -> dict[str, Series]:
        rental_ids = list(batch.readings)
        if not rental_ids:
            return {}
        letters = [letter for each in batch.readings.values() for letter in each]
        known = store.reading_hashes(
            {(each.rental_id, each.seq) for each in letters if each.seq < reached[each.rental_id].next_seq}
        )
        first_waiting = store.first_waiting(rental_ids)
        waiting = store.waiting_hashes(
            {
                (each.rental_id, each.first)
                for each in letters
                if each.rental_id in first_waiting and _is_storable(each.first)
            }
        )
        heads = self._find_heads(store, terms, {rental_id: reached[rental_id] for rental_id in rental_ids})
        taken: dict[str, Series] = {}
        for rental_id, letters in batch.readings.items():
            series = Series(
                store,
                terms[rental_id],
                head=heads[rental_id],
                slack_seconds=self._settings.slack_seconds,
                hole_limit=self._settings.hole_limit,
            )
            series.take(
                sorted(letters, key=lambda letter: letter.first),
                known=known.get(rental_id, {}),
                waiting=waiting.get(rental_id, {}),
                first_waiting=first_waiting.get(rental_id),
            )
            taken[rental_id] = series
        self._store_readings(store, taken, now=now)
        return taken

    def _store_readings(self, store: Store, taken: Mapping[str, Series], *, now: datetime) -> None:
        runs: list[Run] = []
        for rental_id, series in taken.items():
            if series.reached is not None:
                store.drop_waiting(rental_id, up_to=series.reached)
            runs += [
                run_row(rental_id, taken_together, start_at=series.terms.start_at)
                for taken_together in _told_together(series.accepted)
            ]
        store.add_runs(runs)
        events = [_usage_accepted(run) for run in runs]
        traces = [
            noted_in_rental("accept readings", service="metering", rental_id=run.rental_id) for run in runs
        ]
        add_events(store.session, UsageAccepted, events, traces=traces, now=now)
        store.add_waiting([waiting_row(letter) for series in taken.values() for letter in series.held])
        self._resolve(store, taken, now=now)

    @staticmethod
    def _resolve(store: Store, taken: Mapping[str, Series], *, now: datetime) -> None:
        """Note what stood refused and is settled by what was taken: mostly nothing."""
        for rental_id, refusals in store.unresolved(list(taken)).items():
            series = taken[rental_id]
            accepted, judged = _hashes_of(series.accepted), set(series.judged_waiting)
            settled = [
                number
                for number, code, hashed in refusals
                if hashed in accepted or (code == "gap" and hashed in judged)
            ]
            store.resolve_refusals(settled, now=now)

    def _take_ceilings(
        self, store: Store, letters: Sequence[CeilingLetter], rental_id: str, *, now: datetime
    ) -> list[Refused]:
        refusals = []
        for letter in letters:
            try:
                take_ceiling(store, letter.signed, rental_id=rental_id, now=now)
            except CeilingRefused as error:
                refusals.append(refused(letter, code=error.code, detail=error.detail))
        return refusals

    def _find_heads(
        self, store: Store, terms: Mapping[str, Terms], reached: Mapping[str, Reached]
    ) -> dict[str, Head]:
        """Return how far these rentals have come: as remembered, where no other process carried one on."""
        remembered, _ = self._heads.look_up(reached)
        heads = {
            rental_id: head
            for rental_id, head in remembered.items()
            if head.next_seq == reached[rental_id].next_seq
        }
        carried_on = []
        for rental_id, (next_seq, _) in reached.items():
            if next_seq == 0:
                heads[rental_id] = Head(terms[rental_id].rental_id, None)
            elif rental_id not in heads:
                carried_on.append((rental_id, next_seq - 1))
        if not carried_on:
            return heads
        since, until = zip(*(reached[rental_id].arrived for rental_id, _ in carried_on), strict=True)
        for rental_id, wire in store.last_readings(carried_on, arrived=(min(since), max(until))).items():
            last = SignedReading.model_validate(wire).reading
            heads[rental_id] = Head(reading_hash(last), measured(last))
        return heads


def _attributed(store: Store, one: Refused) -> Refused:
    """Return the refusal under the rental whose device's topic it came on, where it names none itself."""
    if one.rental_id is not None or one.device is None:
        return one
    return replace(one, rental_id=store.newest_rental_of(one.device))


def _is_storable(seq: int) -> bool:
    return seq < 1 << 63


def _acks(series: Mapping[str, Series]) -> list[Message]:
    """Return an acknowledgement for every rental heard of, also where nothing is new.

    The device may have missed the first.
    """
    return [
        ack(each.terms.device, rental_id=rental_id, seq=each.head.next_seq - 1)
        for rental_id, each in series.items()
        if each.head.next_seq > 0
    ]


def _told_together(accepted: Sequence[Taken]) -> Iterator[Sequence[Taken]]:
    """Return what is told in one event and stored in one row.

    What one signature proves stays by itself; single readings go together, but not those of different days.
    """
    singles: list[Taken] = []
    for taken in accepted:
        full = len(singles) == READINGS_IN_EVENT or taken.count > 1
        if singles and (full or _day(singles[0]) != _day(taken)):
            yield singles
            singles = []
        if taken.count > 1:
            yield [taken]
        else:
            singles.append(taken)
    if singles:
        yield singles


def _hashes_of(accepted: Sequence[Taken]) -> set[str]:
    return {to_hex(one.letter.hash_at(place)) for one in accepted for place in range(one.letter.count)}


def _day(taken: Taken) -> int:
    return day_of(taken.letter.received_at)


def _usage_accepted(run: Run) -> tuple[str, str]:
    """Return the key and the JSON of the event that tells of these readings."""
    told = batch_body(run.document)
    return f"{run.rental_id}:{run.last_seq}", f'{{"rental_id":"{run.rental_id}","readings":[{told}]}}'
