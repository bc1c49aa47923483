"""The fake's rows: what it was told of rentals."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime


class FakeTable(SQLModel, registry=registry()):
    """The base of the fake's tables."""


class Rental(FakeTable, table=True):
    """A rental as its view, and when it was agreed."""

    __tablename__ = "rental"

    rental_id: str = Field(primary_key=True)
    view: dict[str, Any] = Field(sa_type=JSON)
    agreed_at: datetime = Field(sa_type=UtcDateTime)
