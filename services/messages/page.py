"""A page of anything: items, and an opaque cursor for the next page (None on the last)."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list in a stable order."""

    model_config = ConfigDict(frozen=True)

    items: tuple[Item, ...]
    next: str | None = None
