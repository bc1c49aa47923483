"""The toy's entrypoints."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import eventlet
from nameko.extensions import DependencyProvider
from pydantic import BaseModel
from sqlmodel import Session

from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.gathering import on_events
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.errors import NotFound, Unavailable
from tests.integration.chassis.toy.messages import CounterRaised
from tests.integration.chassis.toy.models import Counter, Heard

# Outside the database, since a failing handler's transaction is rolled back.
FAILURES_LEFT: dict[str, int] = {}

GATHERED: list[int] = []

HANDLED: defaultdict[str, int] = defaultdict(int)


class HandledDeliveries(DependencyProvider):
    """Counts deliveries when a worker is done with one, whatever came of it."""

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        """Count the event that a worker had."""
        for argument in worker_ctx.args:
            if isinstance(argument, CounterRaised):
                HANDLED[argument.name] += 1


class RaiseIn(BaseModel):
    """A request to raise a counter."""

    name: str
    by: int = 1


class Toy(Service):
    """Counts, tells, and hears itself."""

    name = "toy"

    handled_deliveries = HandledDeliveries()

    @rpc
    def raise_counter(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raise a counter and say so."""
        wanted = RaiseIn.model_validate(request)
        with self.database.unit_of_work() as session:
            counter = session.get(Counter, wanted.name) or Counter(name=wanted.name)
            counter.value += wanted.by
            session.add(counter)
            add_event(session, CounterRaised(name=counter.name, value=counter.value), now=self.clock.now())
            return {"name": counter.name, "value": counter.value}

    @rpc
    def value_of(self, name: str) -> int:
        """Return a counter's value."""
        with self.database.snapshot() as session:
            counter = session.get(Counter, name)
            if counter is None:
                raise NotFound("counter_not_found", f"no counter {name}", name=name, tried=3)
            return counter.value

    @rpc
    def heard(self, name: str) -> int:
        """Return how often events of this counter were heard."""
        with self.database.snapshot() as session:
            found = session.get(Heard, name)
            return found.times if found else 0

    @rpc
    def fail_next(self, name: str, failures: int) -> None:
        """Make the next handlings of this counter's events fail."""
        FAILURES_LEFT[name] = failures

    @rpc
    def failures_left(self, name: str) -> int:
        """Return how many handlings of this counter's events are still to fail."""
        return FAILURES_LEFT.get(name, 0)

    @rpc
    def handled(self, name: str) -> int:
        """Return how many deliveries of this counter's events this process is done with, ignored ones too."""
        return HANDLED[name]

    @rpc
    def ticks(self) -> int:
        """Return how often the timer ticked."""
        with self.database.snapshot() as session:
            counter = session.get(Counter, "ticks")
            return counter.value if counter else 0

    @rpc
    def break_down(self) -> None:
        """Fail by a bug."""
        raise ZeroDivisionError("one by none")

    @on_event(CounterRaised)
    def on_counter_raised(self, session: Session, event: CounterRaised) -> None:
        """Count the event, unless told to fail."""
        heard = session.get(Heard, event.name) or Heard(name=event.name)
        heard.times += 1
        session.add(heard)
        session.flush()
        if FAILURES_LEFT.get(event.name, 0) > 0:
            FAILURES_LEFT[event.name] -= 1
            raise Unavailable("told_to_fail", "told to fail")

    @timer(interval=0.05)
    def tick(self) -> None:
        """Raise the counter of ticks, and fail at the second one."""
        with self.database.unit_of_work() as session:
            counter = session.get(Counter, "ticks") or Counter(name="ticks")
            counter.value += 1
            session.add(counter)
        if counter.value == 2:
            raise ZeroDivisionError("second tick")


class Neighbour(Service):
    """Asks the toy."""

    name = "neighbour"

    @rpc
    def ask_toy(self, name: str) -> Any:
        """Return what the toy says of this counter."""
        return self.remote.call("toy", "value_of", name, timeout=5.0)

    @rpc
    def heard(self, name: str) -> int:
        """Return how often events of this counter were heard."""
        with self.database.snapshot() as session:
            found = session.get(Heard, name)
            return found.times if found else 0

    @rpc
    def wait_for(self, name: str, times: int) -> None:
        """Keep a worker until so many events of this counter were heard."""
        while self.heard(name) < times:
            eventlet.sleep(0.05)

    @rpc
    def gathered(self) -> list[int]:
        """Return how many events each unit of work of this process had."""
        return list(GATHERED)

    @on_events(CounterRaised)
    def on_counter_raised(self, session: Session, events: Sequence[CounterRaised]) -> None:
        """Count the events, unless told to fail at one."""
        for event in events:
            heard = session.get(Heard, event.name) or Heard(name=event.name)
            heard.times += 1
            session.add(heard)
            session.flush()
            if FAILURES_LEFT.get(f"neighbour's {event.name}", 0) > 0:
                FAILURES_LEFT[f"neighbour's {event.name}"] -= 1
                raise ZeroDivisionError("told to fail")
        GATHERED.append(len(events))
