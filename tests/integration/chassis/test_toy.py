"""What the chassis promises a service, on either bus with either database."""

import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from sqlalchemy import MetaData
from sqlmodel import Session, select

from services.chassis.inbox import MAX_TRIES
from services.chassis.migrations import drift_of
from services.chassis.outbox import add_event, add_new_events, count_unsent
from services.chassis.parking import TRIES_HEADER
from services.chassis.publishing import ConfirmedPublisher
from services.chassis.queues import QueueDesk, parked_queue
from services.chassis.settings import is_memory
from services.messages.errors import Invalid, NotFound, OperatorError, OutcomeUnknown, Unavailable
from tests import stack
from tests.integration.chassis.conftest import EVENTS, Toys, end, publish
from tests.integration.chassis.toy.messages import CounterMentioned, CounterRaised
from tests.integration.chassis.toy.models import Counter, Heard, ToyTable

ON_RABBITMQ = pytest.mark.parametrize("toys", [pytest.param("stack", marks=pytest.mark.stack)], indirect=True)
HEARD = "evt-toy-counter_raised--toy.on_counter_raised"


class TestCall:
    """A call from one process to another."""

    def test_returns_what_the_method_returned(self, toys: Toys) -> None:
        toys.start()
        assert toys.call("raise_counter", {"name": "a", "by": 5}) == {"name": "a", "value": 5}
        assert toys.call("value_of", "a") == 5

    def test_raises_the_callees_error_with_its_fields(self, toys: Toys) -> None:
        toys.start()
        with pytest.raises(NotFound, match="no counter z") as caught:
            toys.call("value_of", "z")
        assert caught.value.code == "counter_not_found"
        assert caught.value.fields == {"name": "z", "tried": 3}

    def test_raises_invalid_for_a_request_that_does_not_parse(self, toys: Toys) -> None:
        toys.start()
        with pytest.raises(Invalid) as caught:
            toys.call("raise_counter", {"name": "a", "by": "many"})
        assert [problem["at"] for problem in caught.value.fields["errors"]] == ["by"]

    def test_raises_operator_error_for_a_bug_and_for_a_missing_method(self, toys: Toys) -> None:
        toys.start()
        with pytest.raises(OperatorError, match="ZeroDivisionError"):
            toys.call("break_down")
        with pytest.raises(OperatorError, match="MethodNotFound"):
            toys.call("no_such_method")
        with pytest.raises(OperatorError, match="IncorrectSignature"):
            toys.call("value_of", "a", "b")

    def test_raises_unavailable_where_no_such_service_runs_and_then_goes_on(self, toys: Toys) -> None:
        toys.start()
        with pytest.raises(Unavailable, match="no service nobody is running"):
            toys.call("anything", of="nobody")
        assert toys.call("health")["service"] == "toy"

    def test_passes_through_a_neighbour_for_more_callers_than_there_are_workers(self, toys: Toys) -> None:
        toys.start()
        toys.call("raise_counter", {"name": "a"})
        answers = toys.at_once([partial(toys.call, "ask_toy", "a", of="neighbour")] * 12)
        assert answers == [1] * 12

    def test_counts_every_one_of_many_at_once(self, toys: Toys) -> None:
        toys.start()
        toys.at_once([partial(toys.call, "raise_counter", {"name": "a"})] * 12)
        assert toys.call("value_of", "a") == 12


class TestEvent:
    """An event from a service's outbox to a handler."""

    def test_is_heard_after_the_transaction_that_added_it(self, toys: Toys) -> None:
        toys.start()
        toys.call("raise_counter", {"name": "a"})
        toys.wait_until(lambda: toys.call("heard", "a") == 1, timeout=10.0)

    def test_is_heard_once_though_delivered_many_times(self, toys: Toys) -> None:
        toys.start()
        events = [CounterRaised(name="repeated", value=value) for value in range(5)]
        publish(toys, *events, *events, *events)
        toys.wait_until(lambda: toys.call("handled", "repeated") == 15, timeout=10.0)
        assert toys.call("heard", "repeated") == 5

    def test_comes_again_after_its_handler_failed_and_leaves_no_trace_of_the_failure(
        self, toys: Toys
    ) -> None:
        toys.start()
        toys.call("fail_next", "a", 2)
        toys.call("raise_counter", {"name": "a"})
        toys.wait_until(lambda: toys.call("heard", "a") == 1, timeout=20.0)
        assert toys.call("failures_left", "a") == 0

    def test_committed_while_nothing_ran_is_published_at_the_next_start(self, toys: Toys) -> None:
        database = toys.database()
        with database.unit_of_work() as session:
            add_event(session, CounterRaised(name="a", value=1), now=datetime.now(UTC))
        database.close()
        toys.start()
        toys.wait_until(lambda: toys.call("heard", "a") == 1, timeout=10.0)
        toys.wait_until(lambda: toys.call("health")["unsent_events"] == 0, timeout=10.0)

    def test_of_another_process_is_published_without_being_told(self, toys: Toys) -> None:
        toys.start()
        database = toys.database()
        with database.unit_of_work() as session:
            add_event(session, CounterRaised(name="ingest", value=1), now=datetime.now(UTC))
        database.close()
        toys.wait_until(lambda: toys.call("heard", "ingest") == 1, timeout=10.0)

    def test_that_may_go_unheard_does_not_wait_for_a_listener(self, toys: Toys) -> None:
        toys.start()
        database = toys.database()
        with database.unit_of_work() as session:
            add_event(session, CounterMentioned(name="a"), now=datetime.now(UTC))

        def has_left() -> bool:
            with database.snapshot() as session:
                return count_unsent(session) == 0

        toys.wait_until(has_left, timeout=30.0)
        database.close()

    def test_of_a_rolled_back_transaction_is_never_published(self, toys: Toys) -> None:
        database = toys.database()

        def add_and_fall(session: Session) -> None:
            add_event(session, CounterRaised(name="a", value=1), now=datetime.now(UTC))
            raise ZeroDivisionError("after adding")

        with pytest.raises(ZeroDivisionError):
            database.work(add_and_fall)
        with database.snapshot() as session:
            assert count_unsent(session) == 0
        database.close()


class TestManyAtOnce:
    """Events that one transaction added: on RabbitMQ they travel in one message."""

    def test_are_heard_once_each(self, toys: Toys) -> None:
        toys.start()
        before = len(toys.call("gathered", of="neighbour"))
        add_at_once(toys, [CounterRaised(name="a", value=value) for value in range(40)])
        for service in ("toy", "neighbour"):
            toys.wait_until(lambda: toys.call("heard", "a", of=service) == 40, timeout=30.0)  # noqa: B023
        # RabbitMQ hands over as many messages as there are workers, here two.
        assert max(toys.call("gathered", of="neighbour")[before:]) > 2

    def test_wait_for_none_that_fails_and_it_comes_again(self, toys: Toys) -> None:
        toys.start()
        toys.call("fail_next", "bad", 2)
        toys.call("fail_next", "neighbour's bad", 2)
        events = [CounterRaised(name="a", value=value) for value in range(10)]
        add_at_once(toys, [*events[:5], CounterRaised(name="bad", value=1), *events[5:]])
        for service in ("toy", "neighbour"):
            for name, times in (("a", 10), ("bad", 1)):
                toys.wait_until(lambda: toys.call("heard", name, of=service) == times, timeout=30.0)  # noqa: B023
        assert toys.call("failures_left", "bad") == toys.call("failures_left", "neighbour's bad") == 0

    @ON_RABBITMQ
    @pytest.mark.parametrize("signal", [signal.SIGTERM, signal.SIGKILL])
    def test_are_heard_once_each_by_listeners_that_end_and_begin_again(
        self, toys: Toys, signal: signal.Signals
    ) -> None:
        toys.start()
        add_at_once(toys, [CounterRaised(name="a", value=value) for value in range(90)])
        toys.wait_until(lambda: toys.call("heard", "a") > 0, timeout=30.0)
        toys.processes[-1].send_signal(signal)
        toys.processes[-1].wait(timeout=60)
        toys.start()
        for service in ("toy", "neighbour"):
            toys.wait_until(lambda: toys.call("heard", "a", of=service) == 90, timeout=60.0)  # noqa: B023


def add_at_once(toys: Toys, events: Sequence[CounterRaised]) -> None:
    """Add events to the toy's outbox by one transaction, as another process does."""
    database = toys.database()
    with database.unit_of_work() as session:
        add_new_events(session, events, now=datetime.now(UTC))
    database.close()


class TestGathered:
    """Events that a handler hears many at once."""

    def test_share_a_unit_of_work_and_are_heard_once_each(self, toys: Toys) -> None:
        toys.start()
        before = len(toys.call("gathered", of="neighbour"))
        publish(toys, *[CounterRaised(name="a", value=value) for value in range(40)] * 2)
        toys.wait_until(lambda: toys.call("heard", "a", of="neighbour") == 40, timeout=20.0)
        sizes = toys.call("gathered", of="neighbour")[before:]
        assert sum(sizes) == 40
        # RabbitMQ hands over as many as there are workers, here two: on it they may well come one by one.
        assert len(sizes) < 40 or not is_memory(toys.uri)

    def test_wait_for_none_that_fails_and_it_comes_again(self, toys: Toys) -> None:
        toys.start()
        toys.call("fail_next", "neighbour's bad", 3)
        events = [CounterRaised(name="a", value=value) for value in range(20)]
        publish(toys, *events[:10], CounterRaised(name="bad", value=1), *events[10:])
        for name, times in (("a", 20), ("bad", 1)):
            toys.wait_until(lambda: toys.call("heard", name, of="neighbour") == times, timeout=20.0)  # noqa: B023
        assert toys.call("failures_left", "neighbour's bad") == 0


class TestTimer:
    """A method called at an interval."""

    def test_ticks_on_after_a_tick_that_failed(self, toys: Toys) -> None:
        toys.start()
        toys.wait_until(lambda: toys.call("ticks") > 3, timeout=10.0)


class TestCopies:
    """Several processes of one service, and their deaths."""

    @pytest.mark.parametrize("toys", [pytest.param("stack", marks=pytest.mark.stack)], indirect=True)
    def test_share_the_events_and_hear_each_once(self, toys: Toys) -> None:
        toys.start()
        toys.start()
        events = [CounterRaised(name=f"counter {value % 7}", value=value) for value in range(60)]
        publish(toys, *events, *events, *events)
        toys.wait_until(lambda: total_heard(toys) >= 60, timeout=30.0)
        toys.at_once([partial(toys.call, "raise_counter", {"name": "shared"})] * 30)
        toys.wait_until(lambda: toys.call("heard", "shared") == 30, timeout=30.0)
        assert total_heard(toys) == 90
        assert toys.call("value_of", "shared") == 30

    @pytest.mark.parametrize("toys", [pytest.param("stack", marks=pytest.mark.stack)], indirect=True)
    def test_killed_amid_the_work_lose_nothing(self, toys: Toys) -> None:
        toys.start()
        toys.call("fail_next", "a", 3)
        for _ in range(10):
            toys.call("raise_counter", {"name": "a"})
        end(toys.processes[0])
        toys.start()
        # RabbitMQ gives a call again whose reply left before the acknowledgement: then it is 11.
        toys.wait_until(lambda: total_heard(toys) == total_raised(toys) >= 10, timeout=30.0)
        assert toys.call("value_of", "a") in (10, 11)

    @pytest.mark.parametrize("toys", [pytest.param("stack", marks=pytest.mark.stack)], indirect=True)
    @pytest.mark.parametrize("server", ["rabbitmq", "postgres"])
    def test_outlive_a_killed_server_and_lose_nothing(self, toys: Toys, server: str) -> None:
        toys.start()
        toys.call("raise_counter", {"name": "before"})
        stack.kill(server)
        try:
            with pytest.raises((Unavailable, OutcomeUnknown)):
                toys.call("raise_counter", {"name": "during"})
        finally:
            stack.start(server)
        toys.wait_until(lambda: raises_again(toys), timeout=60.0)
        toys.wait_until(lambda: total_heard(toys) == total_raised(toys), timeout=60.0)


def raises_again(toys: Toys) -> bool:
    """Return whether a counter could be raised; dead toys are started again, as a supervisor would."""
    if toys.processes[-1].poll() is not None:
        toys.start()
    try:
        toys.call("raise_counter", {"name": "after"})
    except (Unavailable, OutcomeUnknown):
        return False
    return True


def total_raised(toys: Toys) -> int:
    """Return how often counters were raised, ticks aside."""
    database = toys.database()
    with database.snapshot() as session:
        total = sum(counter.value for counter in session.exec(select(Counter)) if counter.name != "ticks")
    database.close()
    return total


def total_heard(toys: Toys) -> int:
    """Return how many events were heard in all."""
    database = toys.database()
    with database.snapshot() as session:
        total = sum(heard.times for heard in session.exec(select(Heard)))
    database.close()
    return total


def test_the_models_match_the_migrations(toys: Toys) -> None:
    database = toys.database()
    assert drift_of(database, ToyTable.metadata) == []
    assert drift_of(database, MetaData()) != []
    database.close()


class TestQueueDesk:
    """The bus as an operator sees it."""

    def test_names_the_queues_that_a_service_hears_from(self, toys: Toys) -> None:
        toys.start()
        assert toys.call("queues") == [HEARD]
        assert toys.call("queues", of="neighbour") == ["evt-toy-counter_raised--neighbour.on_counter_raised"]

    def test_shows_what_waits_and_who_takes_it(self, toys: Toys) -> None:
        toys.start()
        toys.wait_until(lambda: toys.call("health"), timeout=10.0)
        (depth,) = QueueDesk(toys.uri).depths([HEARD, "evt-toy-nothing--toy.on_nothing"])
        assert (depth.name, depth.messages) == (HEARD, 0)

    @ON_RABBITMQ
    def test_shows_what_a_handler_gave_up_and_hands_it_over_again(self, toys: Toys) -> None:
        toys.start()
        toys.call("fail_next", "a", 1)
        event = CounterRaised(name="a", value=1)
        last_try = {TRIES_HEADER: MAX_TRIES - 1}
        publisher = ConfirmedPublisher(toys.uri)
        publisher.publish(
            event.model_dump(mode="json"), exchange=EVENTS, routing_key=event.type, headers=last_try
        )
        publisher.drop()
        desk = QueueDesk(toys.uri)
        toys.wait_until(lambda: count(desk, parked_queue(HEARD)) == 1, timeout=20.0)

        for _ in range(2):  # looking takes nothing away
            (parked,) = desk.parked(HEARD, limit=10)
            assert parked.body["name"] == "a"
            assert parked.tries == MAX_TRIES
            assert "told_to_fail" in parked.reason
        assert desk.replay(HEARD, limit=10) == 1
        toys.wait_until(lambda: toys.call("heard", "a") == 1, timeout=10.0)
        assert desk.parked(HEARD, limit=10) == []

    @ON_RABBITMQ
    def test_says_where_nothing_was_ever_parked(self, toys: Toys) -> None:
        toys.start()
        with pytest.raises(NotFound, match="nothing was ever parked"):
            QueueDesk(toys.uri).replay(HEARD, limit=1)


def count(desk: QueueDesk, queue: str) -> int:
    """Return how many messages a queue has, 0 where it is not there."""
    return sum(depth.messages for depth in desk.depths([queue]))
