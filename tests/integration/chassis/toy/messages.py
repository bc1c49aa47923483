"""What the toy says."""

from typing import ClassVar

from services.messages.event import Event


class CounterRaised(Event):
    """A counter has a new value."""

    source: ClassVar[str] = "toy"
    type: ClassVar[str] = "counter_raised"

    name: str
    value: int

    def key(self) -> str:
        """Return the counter's name and value."""
        return f"{self.name}:{self.value}"


class CounterMentioned(Event):
    """Somebody spoke of a counter, which none of us needs to know."""

    source: ClassVar[str] = "toy"
    type: ClassVar[str] = "counter_mentioned"
    may_go_unheard: ClassVar[bool] = True

    name: str

    def key(self) -> str:
        """Return the counter's name."""
        return self.name
