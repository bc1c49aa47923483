"""Whether a service is well: it answers, its database answers, and its events leave."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text

from services.chassis.database import Database
from services.chassis.outbox import count_unsent
from services.chassis.rpc import RpcClient
from services.messages.errors import HirelingError

SERVICES = ("listing", "negotiation", "metering", "settlement")
"""The services that are called, by their folders' names."""


def health_of(service: str, database: Database) -> dict[str, Any]:
    """Return the service's health. Raises the database's own error when it does not answer."""
    with database.snapshot() as session:
        return {"service": service, "unsent_events": count_unsent(session)}


def require_answer(database: Database) -> None:
    """Ask the database for nothing. Raises its own error when it does not answer."""
    with database.snapshot() as session:
        session.execute(text("SELECT 1"))


def health_of_all(client: RpcClient, services: Sequence[str], *, timeout: float) -> dict[str, dict[str, Any]]:
    """Return the health of each service, or under ``error`` why there is none.

    Waits at most `timeout` seconds for each.
    """
    healths: dict[str, dict[str, Any]] = {}
    for service in services:
        try:
            healths[service] = client.call(service, "health", timeout=timeout)
        except HirelingError as error:
            healths[service] = {"service": service, "error": str(error)}
    return healths
