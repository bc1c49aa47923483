"""Rows of the neighbours: the readings metering keeps."""

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class NeighbourTable(SQLModel, registry=registry()):
    """The base of their tables."""


class KeptReading(NeighbourTable, table=True):
    """A reading that counts."""

    __tablename__ = "kept_reading"

    rental_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    signed: dict[str, Any] = Field(sa_type=JSON)
