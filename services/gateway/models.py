"""Rows of the gateway: answers kept for repeated requests."""

from datetime import datetime

from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.chassis.tables import UtcDateTime


class GatewayTable(SQLModel, registry=registry()):
    """The base of the gateway's tables, in metadata of their own."""


class KeptAnswer(GatewayTable, table=True):
    """A request that carried an idempotency key, and its answer once there is one (status 0 until then)."""

    __tablename__ = "kept_answer"

    key: str = Field(primary_key=True)
    request_hash: str = Field(description="of method, path and body, in hex")
    status: int = 0
    media_type: str = ""
    body: bytes = b""
    asked_at: datetime = Field(sa_type=UtcDateTime, index=True)
