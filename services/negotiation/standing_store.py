"""How sessions stand, read as text and nothing parsed: queries for whoever only tells of them."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, Text, cast, func, select
from sqlmodel import Session

from hireling.rental.moves import LAST_OFFERS
from services.messages.negotiation import QuoteStatus, Side
from services.negotiation.standing import Standing
from services.negotiation.store import AGREEMENT, MADE, OFFER, QUOTE, won_in

_SIDES: tuple[Side, Side] = ("owner", "renter")
_STANDING = (
    select(
        QUOTE.c.quote_id,
        QUOTE.c.device,
        QUOTE.c.status,
        QUOTE.c.answer_by,
        QUOTE.c.owner_signature,
        QUOTE.c.renter_signature,
        QUOTE.c.won_auction,
        QUOTE.c.won_amount,
        AGREEMENT.c.rental_id,
        cast(QUOTE.c.request, Text).label("request"),
        cast(QUOTE.c.appointment, Text).label("appointment"),
        MADE,
    )
    .join_from(QUOTE, AGREEMENT, AGREEMENT.c.quote_id == QUOTE.c.quote_id, isouter=True)
    .order_by(QUOTE.c.asked_at, QUOTE.c.quote_id)
)
_ANY = OFFER.alias()
_NEWEST = select(func.max(_ANY.c.round)).where(_ANY.c.quote_id == OFFER.c.quote_id).scalar_subquery()
_LAST_OFFERS = (
    select(OFFER.c.quote_id, cast(OFFER.c.signed, Text).label("signed"))
    .where(OFFER.c.round > _NEWEST - LAST_OFFERS)
    .order_by(OFFER.c.quote_id, OFFER.c.round)
)


def standings_of(session: Session, quote_ids: Collection[str]) -> list[Standing]:
    """Return how those of these sessions stand that exist, the oldest first."""
    if not quote_ids:
        return []
    connection = session.connection()
    offers: defaultdict[str, list[str]] = defaultdict(list)
    for name, signed in connection.execute(_LAST_OFFERS.where(OFFER.c.quote_id.in_(quote_ids))):
        offers[name].append(signed)
    rows = connection.execute(_STANDING.where(QUOTE.c.quote_id.in_(quote_ids)))
    return [_standing(row, tuple(offers[row.quote_id])) for row in rows]


def _standing(row: Row[Any], offers: tuple[str, ...]) -> Standing:
    signatures = (row.owner_signature, row.renter_signature)
    return Standing(
        quote_id=row.quote_id,
        device=row.device,
        status=QuoteStatus(row.status),
        answer_by=row.answer_by,
        request=row.request,
        made=row.made,
        offers=offers,
        signed_by=tuple(side for side, signature in zip(_SIDES, signatures, strict=True) if signature),
        rental_id=row.rental_id,
        won=won_in(row),
        appointment=row.appointment,
    )
