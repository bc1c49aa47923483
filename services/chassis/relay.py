"""The relay takes what a service's outbox holds to the bus.

It does so in order, at least once, and marks a row only when it can no longer be lost.

On RabbitMQ that is the publisher confirm, one for all events of a type that wait together; on the in-process
bus it is the moment when every listener has acknowledged, so that after a crash the unmarked rest is simply
published again. An event that no queue hears yet is kept and tried again for UNHEARD_AFTER, unless it may go
unheard: a listener that was never started has no queue, and RabbitMQ would confirm the event into the void.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any

from eventlet.greenthread import GreenThread
from nameko.events import get_event_exchange
from nameko.extensions import DependencyProvider
from sqlmodel import Session

from services.chassis.assembly import assembly_of
from services.chassis.bundles import bundled, by_type, trace_headers
from services.chassis.concurrency import GreenFlag
from services.chassis.counts import EVENTS_PUBLISHED, OUTBOX_AGE_SECONDS, OUTBOX_UNSENT
from services.chassis.logging import get_logger
from services.chassis.memory_broker import SETTLEMENT_HEADER, memory_broker
from services.chassis.outbox import Backlog, OutboxRow, backlog_of, mark_sent, unsent_events
from services.chassis.providers import SharedDatabase
from services.chassis.publishing import ConfirmedPublisher, Unroutable
from services.messages.errors import OutcomeUnknown, Unavailable
from services.messages.event import unheard_types

# Another process (ingest) adds rows too, and cannot wake us.
POLL_SECONDS = 0.2
BATCH = 100
# On the in-process bus, of each type: what listeners have not acknowledged yet is in memory, and named in
# each query. What a handler fails at stays, and must hold up no other type; ten such types still fit a query.
MOST_UNDER_WAY = 3_000
FAILURE_SECONDS = 2.0
MEASURE_SECONDS = 5.0
UNHEARD_RETRY_SECONDS = 5.0
UNHEARD_AFTER = timedelta(hours=1)

_log = get_logger(__name__)


class OutboxRelay(DependencyProvider):
    """Publishes a service's outbox while the service runs; several copies share the work on PostgreSQL."""

    shared = SharedDatabase()

    def __init__(self) -> None:
        self._wake = GreenFlag()
        self._stopping = False
        self._thread: GreenThread | None = None
        # On the in-process bus: rows that listeners have not all acknowledged yet, and those they have.
        self._under_way: defaultdict[str, set[int]] = defaultdict(set)
        self._settled: set[int] = set()
        self._marked_at = -POLL_SECONDS
        # Types that no queue hears, and when to try them again (monotonic seconds).
        self._unheard: dict[str, float] = {}
        self._backlog = Backlog(unsent=0, oldest=None)
        self._measured_at = -MEASURE_SECONDS

    def start(self) -> None:
        """Begin to publish once every service of the process listens."""
        self._assembly = assembly_of(self.container)
        self._memory = memory_broker(self._assembly.bus.amqp_uri) if self._assembly.bus.is_memory else None
        self._publisher = ConfirmedPublisher(self._assembly.bus.amqp_uri)
        self._database = self.shared.opened()
        self._database.on_event_added(self._wake.set)
        OUTBOX_UNSENT.labels(self.container.service_name).set_function(lambda: self._backlog.unsent)
        OUTBOX_AGE_SECONDS.labels(self.container.service_name).set_function(self._age_seconds)
        self._thread = self.container.spawn_managed_thread(self._run, identifier="outbox relay")

    def stop(self) -> None:
        """Publish what is committed, then stop."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.wait()

    def get_dependency(self, worker_ctx: Any) -> None:
        """Give workers nothing: they add events to the outbox."""

    def _run(self) -> None:
        while not self._stopping and not self._assembly.everyone_listens.wait(POLL_SECONDS):
            pass
        while not self._stopping:
            was_told = self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            self._publish_everything(was_told=was_told)
        self._publish_everything(was_told=True)
        self._publisher.drop()

    def _publish_everything(self, *, was_told: bool) -> None:
        try:
            self._measure()
            while (was_told or self._has_work()) and self._publish_batch() == BATCH:
                self._measure()
        except (Unavailable, OutcomeUnknown) as error:
            _log.warning("outbox_delayed", reason=str(error)[:500], retry_seconds=FAILURE_SECONDS)
            self._wake.wait(0 if self._stopping else FAILURE_SECONDS)

    def _measure(self) -> None:
        """Look from time to time how much has not left, and since when."""
        if monotonic() >= self._measured_at + MEASURE_SECONDS:
            self._measured_at = monotonic()
            with self._database.looks() as session:
                self._backlog = backlog_of(session)

    def _age_seconds(self) -> float:
        # Reckoned when asked, so that it grows also where this relay no longer gets to look.
        oldest = self._backlog.oldest
        return (self._assembly.clock.now() - oldest).total_seconds() if oldest else 0.0

    def _has_work(self) -> bool:
        """Look without taking the write lock, since mostly there is nothing to do."""
        if self._memory is not None or self._marks_are_due():
            # There the batch itself is read without it, unless there is something to mark.
            return True
        with self._database.looks() as session:
            return bool(self._unsent(session, limit=1))

    def _marks_are_due(self) -> bool:
        """Return whether settled rows are to be marked now.

        A commit for each would cost as much as the event did; whatever is not marked in a crash is published
        again, and ignored.
        """
        late = monotonic() >= self._marked_at + POLL_SECONDS
        return bool(self._settled) and (self._stopping or late or len(self._settled) >= BATCH)

    def _publish_batch(self) -> int:
        """Publish up to BATCH rows, mark those that have left for good, and return how many there were."""
        now = self._assembly.clock.now()
        if self._memory is not None and not self._marks_are_due():
            with self._database.snapshot() as session:
                rows = self._unsent(session, limit=BATCH)
            self._publish_to_memory(rows, now=now)
            return len(rows)
        self._marked_at = monotonic()
        with self._database.queue_work() as session:
            settled = frozenset(self._settled)
            mark_sent(session, settled, now=now)
            rows = self._unsent(session, limit=BATCH)
            if self._memory is None:
                mark_sent(session, self._publish(rows, now=now), now=now)
        self._settled -= settled
        for ids in self._under_way.values():
            ids.difference_update(settled)
        if self._memory is not None:
            self._publish_to_memory(rows, now=now)
        return len(rows)

    def _publish_to_memory(self, rows: Sequence[OutboxRow], *, now: datetime) -> None:
        given_up = self._publish(rows, now=now)
        for row in rows:
            if row.id in given_up:
                self._under_way[row.type].add(row.id)
        self._settled.update(given_up)

    def _unsent(self, session: Session, *, limit: int) -> Sequence[OutboxRow]:
        held = {kind for kind, retry_at in self._unheard.items() if retry_at > monotonic()}
        held |= {kind for kind, ids in self._under_way.items() if len(ids) >= MOST_UNDER_WAY}
        named = set().union(*(ids for kind, ids in self._under_way.items() if kind not in held))
        return unsent_events(session, limit=limit, without_ids=named, without_types=held)

    def _publish(self, rows: Sequence[OutboxRow], *, now: datetime) -> list[int]:
        """Publish the rows and return the ids of those that are done with."""
        done = []
        silent: set[str] = set()
        for some in [[row] for row in rows] if self._memory is not None else by_type(rows):
            if some[0].type in silent:
                continue
            try:
                self._publish_together(some)
            except Unroutable:
                given_up = self._unheard_of(some, now=now)
                done.extend(given_up)
                if len(given_up) < len(some):
                    silent.add(some[0].type)
                    self._unheard[some[0].type] = monotonic() + UNHEARD_RETRY_SECONDS
            else:
                self._unheard.pop(some[0].type, None)
                event = f"{some[0].source}.{some[0].type}"
                EVENTS_PUBLISHED.labels(self.container.service_name, event).inc(len(some))
                if self._memory is None:
                    done.extend(row.id for row in some)
        return done

    def _unheard_of(self, rows: Sequence[OutboxRow], *, now: datetime) -> list[int]:
        """Return the ids of those of these events, which no queue hears, that need not be tried again."""
        given_up = []
        for row in rows:
            if (row.source, row.type) not in unheard_types():
                if now - row.created_at < UNHEARD_AFTER:
                    continue
                _log.warning("event_unheard", event_type=row.type, event_key=row.key)
            given_up.append(row.id)
        return given_up

    def _publish_together(self, rows: Sequence[OutboxRow]) -> None:
        """Publish events of one type: in one message, on a broker."""
        first = rows[0]
        exchange = get_event_exchange(first.source, self.container.config)
        tag = f"{first.source}:{first.id}"
        body, headers = bundled(rows) if len(rows) > 1 else (first.payload, trace_headers(first))
        self._publisher.publish(
            body,
            exchange=exchange,
            declare=[exchange],
            routing_key=first.type,
            message_id=first.key,
            headers={SETTLEMENT_HEADER: tag, **headers},
        )
        if self._memory is not None:
            self._under_way[first.type].add(first.id)
            self._memory.when_settled(tag, partial(self._settled.add, first.id))
