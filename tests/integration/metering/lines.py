"""Addresses of the broker with somebody's name in them, as metering's tests connect."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from hireling.rental.broker_users import INGEST, device_user, renter_user
from services.chassis.database import Database
from services.metering.access import hash_of, new_password
from services.metering.access_store import AccessStore
from services.metering.models import BrokerAccount

PASSWORD = "the ingest's own"


@dataclass(frozen=True)
class Lines:
    """The broker's address for the ingest, for a device, and for who rents it."""

    ingest: str
    device: str
    renter: str


def for_everybody(url: str) -> Lines:
    """Return the same address for all: it names an account that may do everything."""
    return Lines(url, url, url)


def embedded_lines(port: int, database: Database, device: str) -> Lines:
    """Return addresses for the embedded broker on this port, with accounts in metering's database."""
    names = (device_user(device), renter_user(device))
    passwords = [new_password() for _ in names]
    until = datetime.now(UTC) + timedelta(hours=1)
    with database.unit_of_work() as session:
        AccessStore(session).admit(
            [
                BrokerAccount(username=name, device=device, password_hash=hash_of(password), expires_at=until)
                for name, password in zip(names, passwords, strict=True)
            ]
        )
    urls = [named(port, name, password) for name, password in zip(names, passwords, strict=True)]
    return Lines(named(port, INGEST, PASSWORD), *urls)


def named(port: int, username: str, password: str) -> str:
    """Return an address with a name and a password."""
    return f"mqtt://{quote(username, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}"


def port_of(url: str) -> int:
    """Return an address's port."""
    return urlsplit(url).port or 1883
