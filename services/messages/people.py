"""A person's data: by which names it is known, what a service holds of it, and what became of it."""

from typing import Any

from pydantic import Field

from services.messages.message import Message


class Person(Message):
    """The names by which services know one person: all that is asked about is of these."""

    address: str = Field(description="the wallet, 0x-hex in lower case")
    rental_ids: tuple[str, ...] = ()
    quote_ids: tuple[str, ...] = ()
    devices: tuple[str, ...] = Field(default=(), description="that the wallet owns")


class HeldRows(Message):
    """What a service holds of a person in one table."""

    table: str
    kept_because: str | None = Field(description="why it stays when the person is erased; None: it goes")
    rows: tuple[dict[str, Any], ...]


class ErasedRows(Message):
    """What became of a person's rows in one table."""

    table: str
    erased: int
    kept: int
    kept_because: str | None
