"""The base of every RPC model."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """What crosses a process: frozen, nothing unknown in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
