"""The base of every event: something that happened, named in the past tense.

Exactly one service publishes it.
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """A fact that other services hear about.

    ``source`` is the publishing service and ``type`` the routing key on its exchange ``<source>.events``.
    Unknown fields are ignored, so that a publisher can add one before its listeners know it.
    """

    model_config = ConfigDict(frozen=True)

    source: ClassVar[str]
    type: ClassVar[str]
    may_go_unheard: ClassVar[bool] = False
    """Whether no service of ours needs it: where no queue hears it, it does not wait for one."""

    def key(self) -> str:
        """Return what makes an event the same when it comes twice; unique within its type."""
        raise NotImplementedError(f"{type(self).__name__} names no key")


def unheard_types() -> frozenset[tuple[str, str]]:
    """Return source and type of each event, of those known to this process, that may go unheard."""
    return frozenset((each.source, each.type) for each in _below(Event) if each.may_go_unheard)


def _below(parent: type[Event]) -> Iterator[type[Event]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)
