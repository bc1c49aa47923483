"""The listing service's only queries."""

from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, or_
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from services.listing.cursor import Position
from services.listing.models import Device, ListingRow

Pair = tuple[ListingRow, Device]


def find_device(session: Session, device: str) -> Device | None:
    """Return the device with this id, if it was ever admitted."""
    return session.get(Device, device)


def lock_device(session: Session, device: str) -> Device | None:
    """Return the device, kept from other writers until this unit of work ends."""
    return session.exec(select(Device).where(Device.device == device).with_for_update()).one_or_none()


def find_listing(session: Session, listing: str) -> Pair | None:
    """Return a listing with its device."""
    statement = select(ListingRow, Device).join(Device, col(Device.device) == col(ListingRow.device))
    return session.exec(statement.where(ListingRow.listing == listing)).one_or_none()


def page_of_devices(session: Session, *, after: Position | None, limit: int) -> list[Device]:
    """Return up to limit + 1 devices, newest first: the one too many says that there is a next page."""
    statement = (
        select(Device).order_by(col(Device.admitted_at).desc(), col(Device.device).desc()).limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(_older(col(Device.admitted_at), col(Device.device), after))
    return list(session.exec(statement))


def page_of_listings(
    session: Session,
    *,
    kind: str | None,
    words: str | None,
    valid_at: int,
    seen_since: datetime | None,
    unseen_since: datetime | None,
    after: Position | None,
    limit: int,
) -> list[Pair]:
    """Return up to limit + 1 listings that count now, newest first, narrowed by whatever is given."""
    statement = (
        select(ListingRow, Device)
        # By one condition: with the device's id beside it PostgreSQL takes the two for independent, expects
        # one row, and sorts every listing there is.
        .join(Device, col(Device.listing) == col(ListingRow.listing))
        .where(ListingRow.valid_until > valid_at)
        .order_by(col(ListingRow.published_at).desc(), col(ListingRow.listing).desc())
        .limit(limit + 1)
    )
    conditions: list[ColumnElement[bool]] = []
    if kind is not None:
        conditions.append(col(ListingRow.kind) == kind)
    if words is not None:
        conditions.extend(
            col(ListingRow.words).contains(word, autoescape=True) for word in words.lower().split()
        )
    if seen_since is not None:
        conditions.append(col(Device.last_seen) >= seen_since)
    if unseen_since is not None:
        conditions.append(or_(col(Device.last_seen).is_(None), col(Device.last_seen) < unseen_since))
    if after is not None:
        conditions.append(_older(col(ListingRow.published_at), col(ListingRow.listing), after))
    return list(session.exec(statement.where(*conditions)))


def count_devices(session: Session, *, seen_since: datetime) -> tuple[int, int]:
    """Return how many devices there are, and how many of them gave a sign of life since then."""
    seen = func.count().filter(col(Device.last_seen) >= seen_since)
    everyone, online = session.exec(select(func.count(), seen).select_from(Device)).one()
    return everyone, online


def count_listed(session: Session, *, valid_at: int) -> int:
    """Return how many devices have a listing that counts at this Unix time."""
    statement = (
        select(func.count())
        .select_from(ListingRow)
        .join(Device, col(Device.listing) == col(ListingRow.listing))
    )
    return session.exec(statement.where(ListingRow.valid_until > valid_at)).one()


def _older(moment: Mapped[datetime], key: Mapped[str], than: Position) -> ColumnElement[bool]:
    return or_(moment < than.moment, and_(moment == than.moment, key < than.key))
