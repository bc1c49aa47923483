"""Messages that came before their rental was known: the agreement's event may still be on its way."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

# Seldom enough that a flood of strangers' messages costs little.
RETRY_SECONDS = 0.25


class Received(Protocol):
    """What came at some moment."""

    @property
    def received_at(self) -> datetime:
        """Return when it came."""


Message = TypeVar("Message", bound=Received)


class Early(Generic[Message]):
    """Keeps up to `size` messages, each until `patience_seconds` after it came."""

    def __init__(self, *, size: int, patience_seconds: float) -> None:
        self._size = size
        self._patience = timedelta(seconds=patience_seconds)
        self._kept: list[Message] = []
        self._due_at = 0.0

    @property
    def is_empty(self) -> bool:
        """Return whether it keeps none."""
        return not self._kept

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, messages: Sequence[Message]) -> list[Message]:
        """Keep these messages; return those for which there is no room."""
        room = max(0, self._size - len(self._kept))
        self._kept.extend(messages[:room])
        return list(messages[room:])

    def due(self, now: datetime, *, monotonic: float) -> tuple[list[Message], list[Message]]:
        """Return every message, once: those that may be tried again, and those that have waited long enough.

        Returns none sooner than RETRY_SECONDS after the last time by the `monotonic` clock.
        """
        if monotonic < self._due_at:
            return [], []
        self._due_at = monotonic + RETRY_SECONDS
        kept, self._kept = self._kept, []
        hopeful = [message for message in kept if now - message.received_at < self._patience]
        expired = [message for message in kept if now - message.received_at >= self._patience]
        return hopeful, expired
