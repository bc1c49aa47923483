"""The base of every RPC model."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """What crosses a process: frozen, nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def model_json_schema(cls, *arguments: Any, **options: Any) -> dict[str, Any]:
        """Return the schema; the plain one is made once: the gateway asks for it at every request."""
        if arguments or options:
            return super().model_json_schema(*arguments, **options)
        return _plain_schema(cls)


@cache
def _plain_schema(message: type[Message]) -> dict[str, Any]:
    # By pydantic's own method: ours asks here.
    return super(Message, message).model_json_schema()
