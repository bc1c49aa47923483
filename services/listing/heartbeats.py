"""Signs of life: each device's every few seconds, so that noting one is two ways to the database."""

from datetime import datetime, timedelta

from hireling.rental.typed_data import Domain, from_hex
from services.chassis.database import Database
from services.listing import store
from services.listing.device import check_heartbeat
from services.listing.models import Device
from services.messages.errors import Refused
from services.messages.listing import SignedHeartbeat


def note_alive(
    database: Database,
    device: str,
    signed: SignedHeartbeat,
    *,
    domain: Domain,
    now: datetime,
    skew: timedelta,
) -> Device:
    """Note a device's sign of life, and return the device; the same one again changes nothing.

    Raises NotFound, and Refused for one that is older than the last or not its meter's.
    """
    at = signed.heartbeat.at
    while True:
        with database.looks() as session:
            row = store.found(store.find_device(session, device), device)
        _check(signed, row, domain=domain, now=now, skew=skew)
        if at == row.heartbeat_at:
            return row
        with database.stroke() as connection:
            # Where not, its key or its last sign of life changed meanwhile: it is looked at again.
            if store.note_heartbeat(connection, row, at=at, now=now):
                row.heartbeat_at, row.last_seen = at, now
                return row


def _check(signed: SignedHeartbeat, row: Device, *, domain: Domain, now: datetime, skew: timedelta) -> None:
    check_heartbeat(
        signed,
        device=from_hex(row.device),
        meter=from_hex(row.meter),
        domain=domain,
        now=now,
        skew=skew,
    )
    if signed.heartbeat.at < row.heartbeat_at:
        detail = f"the last heartbeat was at {row.heartbeat_at}, this one is of {signed.heartbeat.at}"
        raise Refused("heartbeat_old", detail, last=row.heartbeat_at, at=signed.heartbeat.at)
