"""What ingest remembers stays bounded."""

from datetime import timedelta

from services.metering.early import Early
from services.metering.remembered import Remembered
from services.metering.wire import Incoming
from tests.builders import NOW


def a_message(number: int, *, seconds: int = 0) -> Incoming:
    """Return a message received so many seconds from now."""
    return Incoming(topic=f"t/{number}", payload=b"", received_at=NOW + timedelta(seconds=seconds))


class TestEarly:
    def test_hands_everything_out_once(self) -> None:
        early: Early[Incoming] = Early(size=10, patience_seconds=5)
        assert early.keep([a_message(1)]) == []
        assert early.due(NOW, monotonic=10.0) == ([a_message(1)], [])
        assert early.due(NOW, monotonic=20.0) == ([], [])

    def test_gives_up_after_its_patience(self) -> None:
        early: Early[Incoming] = Early(size=10, patience_seconds=5)
        early.keep([a_message(1), a_message(2, seconds=1)])
        hopeful, expired = early.due(NOW + timedelta(seconds=5), monotonic=10.0)
        assert hopeful == [a_message(2, seconds=1)]
        assert expired == [a_message(1)]

    def test_tries_again_only_after_a_while(self) -> None:
        early: Early[Incoming] = Early(size=10, patience_seconds=5)
        early.due(NOW, monotonic=10.0)
        early.keep([a_message(1)])
        assert early.due(NOW, monotonic=10.2) == ([], [])
        assert early.due(NOW, monotonic=10.25) == ([a_message(1)], [])

    def test_returns_what_it_has_no_room_for(self) -> None:
        early: Early[Incoming] = Early(size=2, patience_seconds=5)
        messages = [a_message(number) for number in range(3)]
        assert early.keep(messages) == messages[2:]
        assert not early.is_empty


class TestRemembered:
    def test_forgets_what_was_used_least_recently(self) -> None:
        remembered: Remembered[int] = Remembered(2)
        remembered.update({"a": 1, "b": 2})
        assert remembered.get("a") == 1
        remembered.update({"c": 3})
        assert remembered.look_up(["a", "b", "c"]) == ({"a": 1, "c": 3}, ["b"])
