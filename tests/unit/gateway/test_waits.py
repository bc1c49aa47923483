"""Long polls share their questions: one who asks, many who hear."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from services.gateway.waits import Waits
from services.messages.errors import OperatorError, OutcomeUnknown, Unavailable

LONG = 30.0


@dataclass
class Service:
    """What is asked: how far each thing is."""

    marks: dict[str, int] = field(default_factory=dict)
    asked: list[list[str]] = field(default_factory=list)
    error: Exception | None = None
    then: Callable[[], object] = lambda: None

    def ask(self, names: Sequence[str]) -> Mapping[str, int]:
        """Answer, or fail."""
        self.asked.append(sorted(names))
        self.then()
        if self.error is not None:
            raise self.error
        return {name: self.marks[name] for name in names if name in self.marks}

    def waits(self, *, places: int = 64) -> Waits[int]:
        """Return long polls that ask this service."""
        return Waits(
            self.ask,
            places=threading.BoundedSemaphore(places),
            pause=threading.Event().wait,
            longest_between=0.05,
        )


def test_one_question_is_asked_for_all_who_wait() -> None:
    service = Service(marks={f"thing {number}": 0 for number in range(20)})
    waits = service.waits()
    everybody = threading.Event()

    def move_once_all_wait() -> None:
        if len(service.asked[-1]) == len(service.marks):
            service.marks = dict.fromkeys(service.marks, 1)
            everybody.set()

    service.then = move_once_all_wait
    with ThreadPoolExecutor(20) as pool:
        polls = [
            pool.submit(waits.wait, name, lambda mark: mark == 1, seconds=LONG) for name in service.marks
        ]
        for poll in polls:
            poll.result(LONG)
    assert everybody.is_set()
    assert service.asked[-1] == sorted(service.marks)  # the last answer told all of them


def test_nobody_is_asked_once_nobody_waits() -> None:
    service = Service(marks={"first": 1, "second": 1})
    waits = service.waits()
    waits.wait("first", lambda mark: mark == 1, seconds=LONG)
    waits.wait("second", lambda mark: mark == 1, seconds=LONG)
    assert service.asked == [["first"], ["second"]]


def test_two_who_wait_for_one_thing_know_different_states_of_it() -> None:
    service = Service(marks={"thing": 7})
    waits = service.waits()
    with ThreadPoolExecutor(2) as pool:
        behind = pool.submit(waits.wait, "thing", lambda mark: mark != 6, seconds=LONG)
        ahead = pool.submit(waits.wait, "thing", lambda mark: mark != 7, seconds=LONG)
        behind.result(LONG)
        assert not ahead.done()
        service.marks["thing"] = 8
        ahead.result(LONG)


def test_what_was_heard_before_a_request_came_is_no_news_where_it_is_behind() -> None:
    service = Service(marks={"thing": 6})
    waits = service.waits()
    waits.wait("thing", lambda mark: mark > 5, seconds=LONG)
    # Its caller has read meanwhile that the thing is at 7, by another way.
    service.marks["thing"] = 7
    waits.wait("thing", lambda mark: mark > 7, is_other=lambda mark: mark != 7, seconds=0.3)
    assert len(service.asked) > 2, "it waited, and asked again"
    # And what is behind by what is heard now was set back.
    service.marks["thing"] = 2
    waits.wait("thing", lambda mark: mark > 7, is_other=lambda mark: mark != 7, seconds=LONG)


def test_what_does_not_exist_is_not_waited_for() -> None:
    service = Service()
    service.waits().wait("nothing", lambda mark: False, seconds=LONG)
    assert service.asked == [["nothing"]]


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("away", "nobody is there"),
        OutcomeUnknown("no_reply", "silence"),
        OperatorError("remote_failure", "it is older, and does not know the question"),
    ],
)
def test_a_service_that_does_not_answer_has_no_news(error: Exception) -> None:
    service = Service(marks={"thing": 1}, error=error)

    def comes_back() -> None:
        if len(service.asked) > 2:
            service.error = None

    service.then = comes_back
    service.waits().wait("thing", lambda mark: mark == 1, seconds=LONG)
    assert len(service.asked) == 3


def test_time_is_up_without_news() -> None:
    service = Service(marks={"thing": 1})
    service.waits().wait("thing", lambda mark: mark != 1, seconds=0.2)
    assert service.asked[0] == ["thing"]


def test_a_mistake_of_the_service_s_reaches_one_and_keeps_nobody_else_from_asking() -> None:
    service = Service(marks={"thing": 1}, error=ValueError("a bug"))
    waits = service.waits()
    with pytest.raises(ValueError, match="a bug"):
        waits.wait("thing", lambda mark: mark == 1, seconds=LONG)
    service.error = None
    waits.wait("thing", lambda mark: mark == 1, seconds=LONG)


def test_whoever_finds_no_place_does_not_wait() -> None:
    service = Service(marks={"thing": 1, "other": 1})
    waits = service.waits(places=1)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(waits.wait, "thing", lambda mark: mark > 1, seconds=LONG)
        while not service.asked:
            pass
        waits.wait("other", lambda mark: mark > 1, seconds=LONG)
        assert not first.done()
        service.marks["thing"] = 2
        first.result(LONG)
    # And the place is free again.
    waits.wait("other", lambda mark: mark == 1, seconds=LONG)
    assert "other" in service.asked[-1]
