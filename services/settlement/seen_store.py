"""Rentals for reading only, as both sides look at them again and again: each statement is made once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

import sqlalchemy
from sqlalchemy import BindParameter, ColumnElement, Select, Text, and_, bindparam, case, cast, func, or_
from sqlmodel import col, select

from services.chassis.tables import UtcDateTime
from services.messages.errors import NotFound
from services.settlement.chain_store import ChainStore
from services.settlement.models import (
    CLAIMED,
    BatchedClaimRow,
    BillRow,
    RefusalRow,
    RentalRow,
    TransactionRow,
)

Found = TypeVar("Found")


class SeenRental(NamedTuple):
    """A rental for reading only: how often it was refused, and whether its bill is countersigned."""

    row: RentalRow
    refusals: int
    countersigned: bool
    progress: int


class SeenStore(ChainStore):
    """What a unit of work reads of rentals without changing them."""

    def seen_rental(self, rental_id: str) -> SeenRental:
        """Return a rental for reading only, with what a view of it tells besides. Raises NotFound."""
        found = self._session.execute(_SEEN_BY_ID, {"rental_id": rental_id}).one_or_none()
        return found_rental(None if found is None else _seen_in(found), rental_id)

    def progress_of(self, rental_ids: Collection[str]) -> dict[str, int]:
        """Return how far those of these rentals are that there are; see `RentalView`."""
        found = self._session.execute(_PROGRESS_OF, {"rental_ids": list(rental_ids)})
        return {rental_id: int(progress) for rental_id, progress in found}

    def page_of_rentals(
        self,
        *,
        device: str | None,
        renter: str | None,
        states: Sequence[str] | None,
        unfinished: Sequence[str] | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[SeenRental]:
        """Return up to limit + 1 rentals, newest first, narrowed by whatever is given.

        ``unfinished`` are the states that are open: of the others only those with a bill to countersign.
        """
        given = {
            "device": device,
            "renter": renter,
            "states": None if states is None else list(states),
            "unfinished": None if unfinished is None else list(unfinished),
            "created": None if after is None else after[0],
            "rental_id": None if after is None else after[1],
        }
        narrowed = {name: value for name, value in given.items() if value is not None}
        page = self._session.execute(_page_of_seen(frozenset(narrowed)), {**narrowed, "most": limit + 1})
        return [_seen_in(found) for found in page]


def found_rental(found: Found | None, rental_id: str) -> Found:
    """Return the rental. Raises NotFound where there is none."""
    if found is None:
        raise NotFound("rental_not_found", f"no rental {rental_id}", rental_id=rental_id)
    return found


def _seen_in(found: Sequence[Any]) -> SeenRental:
    row, refusals, countersigned, progress = found
    return SeenRental(row, int(refusals), bool(countersigned), int(progress))


def _progress() -> ColumnElement[int]:
    # What a confirmed transaction did is a state of the rental's.
    refused = select(func.count()).where(
        TransactionRow.rental_id == RentalRow.rental_id, col(TransactionRow.status) == "refused"
    )
    countersigned = select(func.count()).where(
        BillRow.rental_id == RentalRow.rental_id, col(BillRow.countersigned)
    )
    # A half that is not there is null, or JSON's null.
    halves = (
        case((func.coalesce(cast(half, Text), "null") == "null", 0), else_=1)
        for half in (RentalRow.owner_close, RentalRow.renter_close)
    )
    return sum(
        (*halves, case((col(RentalRow.billed), 1), else_=0)),
        start=col(RentalRow.version) + refused.scalar_subquery() + countersigned.scalar_subquery(),
    )


def _seen() -> Select[tuple[RentalRow, int, bool | None, int]]:
    refusals = select(func.count()).where(RefusalRow.rental_id == RentalRow.rental_id)
    passed_over = select(func.count()).where(*skipped(), BatchedClaimRow.rental_id == RentalRow.rental_id)
    countersigned = select(BillRow.countersigned).where(BillRow.rental_id == RentalRow.rental_id)
    return sqlalchemy.select(
        RentalRow,
        refusals.scalar_subquery() + passed_over.scalar_subquery(),
        countersigned.scalar_subquery(),
        _progress(),
    )


@cache
def _page_of_seen(narrowed_by: frozenset[str]) -> Select[tuple[RentalRow, int, bool | None, int]]:
    """Return the statement of a page, newest first, that takes these parameters, and ``most``.

    Each is made once: every machine asks at every look.
    """
    created, key = col(RentalRow.created_at), col(RentalRow.rental_id)
    waiting = select(BillRow.rental_id).where(
        BillRow.rental_id == RentalRow.rental_id, col(BillRow.countersigned).is_(False)
    )
    moment: BindParameter[datetime] = bindparam("created", type_=UtcDateTime())
    name: BindParameter[str] = bindparam("rental_id")
    narrowings = {
        "device": col(RentalRow.device) == bindparam("device"),
        "renter": col(RentalRow.renter) == bindparam("renter"),
        "states": col(RentalRow.state).in_(bindparam("states", expanding=True)),
        "unfinished": or_(
            col(RentalRow.state).in_(bindparam("unfinished", expanding=True)),
            and_(col(RentalRow.billed), waiting.exists()),
        ),
        "created": or_(created < moment, and_(created == moment, key < name)),
    }
    chosen = [narrowing for each, narrowing in narrowings.items() if each in narrowed_by]
    newest_first = _SEEN.order_by(created.desc(), key.desc()).limit(bindparam("most"))
    return newest_first.where(*chosen) if chosen else newest_first


def skipped() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return what holds of a claim that the escrow skipped in a batch."""
    said = col(BatchedClaimRow.outcome)
    return said.is_not(None), said != CLAIMED


# Made once: they are asked at every look of every agent.
_SEEN = _seen()
_SEEN_BY_ID = _SEEN.where(col(RentalRow.rental_id) == bindparam("rental_id"))
_PROGRESS_OF = sqlalchemy.select(col(RentalRow.rental_id), _progress()).where(
    col(RentalRow.rental_id).in_(bindparam("rental_ids", expanding=True))
)
