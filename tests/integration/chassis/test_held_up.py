"""What the chassis does where workers are busy, a handler fails for long, or a service stops amid events."""

from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from kombu import Queue

from services.chassis import gathering, relay
from services.chassis.bus import connect
from services.chassis.outbox import add_event
from tests.integration.chassis.conftest import EVENTS, Toys, publish, toys_in_memory
from tests.integration.chassis.toy.messages import CounterRaised
from tests.integration.chassis.toy.service import GATHERED

IN_MEMORY = pytest.mark.parametrize("toys", ["memory"], indirect=True)


class CounterForgotten(CounterRaised):
    """A counter is not kept any more."""

    type: ClassVar[str] = "counter_forgotten"


class TestGathered:
    """Events that a handler hears many at once."""

    @IN_MEMORY
    def test_come_by_hundreds_of_batches_though_every_other_worker_is_busy(
        self, toys: Toys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gathering, "MOST", 1)
        toys.start()
        wait_for = partial(toys.client.call, "neighbour", "wait_for", "a", 200, timeout=30.0)
        events = [CounterRaised(name="a", value=value) for value in range(200)]
        toys.at_once([wait_for, partial(publish, toys, *events)])
        assert toys.call("heard", "a", of="neighbour") == 200

    def test_are_heard_once_each_though_the_service_stops_amid_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gathering, "MOST", 1)
        with ExitStack() as first_run:
            toys = toys_in_memory(tmp_path, first_run)
            toys.start()
            before = len(GATHERED)
            publish(toys, *[CounterRaised(name="a", value=value) for value in range(100)])
            toys.wait_until(lambda: len(GATHERED) > before, timeout=20.0)
        assert sum(GATHERED[before:]) < 100
        with ExitStack() as second_run:
            again = toys_in_memory(tmp_path, second_run, uri=toys.uri)
            again.start()
            again.wait_until(lambda: again.call("heard", "a", of="neighbour") >= 100, timeout=20.0)
            again.wait_until(lambda: again.call("heard", "a") >= 100, timeout=20.0)
            assert again.call("heard", "a", of="neighbour") == 100


class TestRelay:
    """Events that leave a service's outbox."""

    @IN_MEMORY
    def test_of_a_type_that_a_handler_fails_at_hold_up_no_other_type_and_are_not_lost(
        self, toys: Toys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relay, "MOST_UNDER_WAY", 3)
        toys.start()
        toys.call("fail_next", "a", 1_000)
        for _ in range(10):
            toys.call("raise_counter", {"name": "a"})
        with connect(toys.uri) as connection:
            queue = Queue("forgotten", exchange=EVENTS, routing_key=CounterForgotten.type)(
                connection.channel()
            )
            queue.declare()
            database = toys.database()
            with database.unit_of_work() as session:
                add_event(session, CounterForgotten(name="a", value=1), now=datetime.now(UTC))
            database.close()
            toys.wait_until(lambda: queue.queue_declare(passive=True).message_count == 1, timeout=10.0)
            queue.delete()
        # Those that wait still count against their own type.
        assert toys.call("health")["unsent_events"] >= 10
        toys.call("fail_next", "a", 0)
        toys.wait_until(lambda: toys.call("heard", "a") == 10, timeout=30.0)
        toys.wait_until(lambda: toys.call("health")["unsent_events"] == 0, timeout=10.0)
