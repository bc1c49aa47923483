"""The toy's tables."""

from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class ToyTable(SQLModel, registry=registry()):
    """The base of the toy's tables."""


class Counter(ToyTable, table=True):
    """A named number."""

    __tablename__ = "counter"

    name: str = Field(primary_key=True)
    value: int = 0


class Heard(ToyTable, table=True):
    """How often an event of a counter was heard."""

    __tablename__ = "heard"

    name: str = Field(primary_key=True)
    times: int = 0
