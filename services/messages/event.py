"""The base of every event: something that happened, named in the past tense.

Exactly one service publishes it.
"""

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

    def key(self) -> str:
        """Return what makes an event the same when it comes twice; unique within its type."""
        raise NotImplementedError(f"{type(self).__name__} names no key")
