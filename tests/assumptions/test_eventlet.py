"""What we assume of eventlet."""

import contextvars

import eventlet
from eventlet.event import Event


def test_an_event_that_is_waited_for_in_vain_returns_none() -> None:
    assert Event().wait(0.001) is None


def test_every_greenlet_has_a_context_of_its_own() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def bind(value: str) -> None:
        variable.set(value)
        eventlet.sleep(0)
        seen.append(variable.get())

    for greenlet in [eventlet.spawn(bind, "first"), eventlet.spawn(bind, "second")]:
        greenlet.wait()
    assert seen == ["first", "second"]
    assert variable.get() == "unset", "logs bind their fields per worker"
