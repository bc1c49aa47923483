"""Moves of many sessions, made together in one unit of work.

What they read is read once, what they change is written at the end by one statement a table. Each move is
judged alone, by the state that those before it left: a refused one changes nothing and hinders no other.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlmodel import Session

from hireling.rental.agreement import SignedAgreement
from hireling.rental.appointment import SignedAppointment
from hireling.rental.offer import SignedOffer
from hireling.rental.slot import Slot
from services.chassis.database import as_if_alone
from services.chassis.outbox import add_new_events
from services.messages.errors import Conflict, NotFound
from services.messages.event import Event
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.messages.negotiation import AgreementSignature, QuoteStatus
from services.negotiation import auction_store, awarding, calendar, delegate_store, mandates, store
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession, side_of


class Sitting:
    """Sessions as the moves of one unit of work find and leave them."""

    def __init__(
        self,
        session: Session,
        quote_ids: Collection[str],
        *,
        opening: Collection[QuoteSession] = (),
        remembered: Remembered,
        hold: timedelta,
        now: datetime,
    ) -> None:
        self._session, self._now = session, now
        found = store.load_all_locked(session, quote_ids, remembered)
        self._quotes = {name: quote.at(now) for name, quote in found.items()}
        self._ledger = mandates.Ledger(session)
        devices = {quote.device for quote in opening}
        self._calendar = calendar.Calendar(session, devices, hold=hold, now=now)
        self._auctioned = auction_store.auctioned_among(session, devices)
        self._open = store.open_quotes_of(session, opening)
        self._expired: list[str] = []
        self._opened: dict[str, QuoteSession] = {}
        self._offers: list[SignedOffer] = []
        self._changed: dict[str, QuoteSession] = {}
        self._agreed: list[QuoteSession] = []
        self._spoken_for: list[QuoteSession] = []
        self._events: list[Event] = []

    def quote(self, quote_id: str) -> QuoteSession:
        """Return a session as it stands now. Raises NotFound."""
        if quote_id not in self._quotes:
            raise NotFound("quote_not_found", f"no quote {quote_id}", quote_id=quote_id)
        return self._quotes[quote_id]

    def changed(self) -> Collection[QuoteSession]:
        """Return the sessions that are new or not as they were."""
        return self._changed.values()

    def ask(self, quote: QuoteSession) -> QuoteSession:
        """Open a session, one of those that the sitting began with, unless it is there.

        Raises Conflict where its time is taken or this renter has another session open with it, Refused
        where the owner stopped its agent.
        """
        if quote.quote_id in self._quotes:
            return self._quotes[quote.quote_id]
        self._calendar.require_free(calendar.wanted_by(quote.request, quote.listing, now=self._now))
        self._ledger.require_unrevoked(quote.mandate)
        self._require_no_other(quote)
        if quote.device in self._auctioned:
            quote = awarding.claimed(self._session, quote, now=self._now)
        self._opened[quote.quote_id] = quote
        self._open[quote.device, quote.renter] = (quote.quote_id, quote.answer_by)
        self._say(quote, QuoteRequested(quote_id=quote.quote_id, device=quote.request.device))
        return quote

    def offer(self, offer: SignedOffer) -> QuoteSession:
        """Put an offer on the table; the same offer again changes nothing."""
        quote = self.quote(offer.offer.quote_id)
        after = quote.with_offer(offer, now=self._now)
        if after is quote:
            return quote
        if side_of(offer.offer.round) == "owner":
            self._ledger.require_unrevoked(quote.mandate)
        if quote.listing.books_ahead:
            self._calendar.require_free(calendar.wanted_in(offer.offer, quote.listing, now=self._now))
        self._offers.append(offer)
        self._say(
            after, OfferMade(quote_id=quote.quote_id, device=quote.request.device, round=offer.offer.round)
        )
        return after

    def sign(self, given: AgreementSignature) -> QuoteSession:
        """Add a side's signature over the last offer's agreement.

        The second one makes the rental, and takes its slot. Raises Conflict where that is taken.
        """
        quote = self.quote(given.quote_id)
        after = quote.with_signature(given, now=self._now)
        if after is quote:
            return quote
        agreed = after.agreement() if after.status is QuoteStatus.AGREED else None
        if agreed is not None:
            self._calendar.require_free_for(agreed, self._wanted(after, agreed))
            awarding.require_standing(self._session, after, now=self._now)
        if given.by == "owner":
            self._ledger.reserve_for_owner(after, now=self._now)
        if agreed is None:
            self._say(after, _signed_alone(after, given))
        else:
            awarding.note_agreed(self._session, after)
            self._calendar.take(agreed, self._wanted(after, agreed))
            self._agreed.append(after)
            self._say(after, Agreed(quote_id=after.quote_id, rental_id=agreed.rental_id, signed=agreed))
        return after

    def speak_for_owner(self, quote: QuoteSession, appointment: SignedAppointment) -> None:
        """Note that a delegate made an offer for a session's owner, and by which appointment."""
        if quote.appointment is None:
            said = replace(quote, appointment=appointment)
            self._quotes[quote.quote_id] = self._changed[quote.quote_id] = said
            self._spoken_for.append(said)

    def is_promised(self, quote: QuoteSession, slot: Slot) -> bool:
        """Return whether a session's device is promised to somebody in a slot."""
        return self._calendar.is_promised(quote.listing, slot)

    def write(self) -> None:
        """Keep what the moves changed, and what is to be told of it.

        Raises Unavailable("database_busy") where another copy came between.
        """
        session, now = self._session, self._now
        with as_if_alone():
            store.expire_quotes_named(session, self._expired)
            store.add_quotes(session, list(self._opened.values()), asked_at=now)
            store.save_all(
                session, [each for name, each in self._changed.items() if self._opened.get(name) is not each]
            )
            store.add_offers(session, self._offers, made_at=now)
            delegate_store.note_spoken_for(session, self._spoken_for)
            self._ledger.write()
            self._calendar.write()
            store.add_agreements(session, self._agreed, now=now)
            add_new_events(session, self._events, now=now)

    def _say(self, after: QuoteSession, event: Event) -> None:
        self._quotes[after.quote_id] = self._changed[after.quote_id] = after
        self._events.append(event)

    def _wanted(self, quote: QuoteSession, agreed: SignedAgreement) -> calendar.Wanted:
        return calendar.wanted_in(agreed.offer, quote.listing, now=self._now)

    def _require_no_other(self, quote: QuoteSession) -> None:
        """Raise Conflict where this renter has a session open with the device; note one that has run out."""
        other = self._open.get((quote.device, quote.renter))
        if other is None:
            return
        other_id, answer_by = other
        if self._now > answer_by:
            self._expired.append(other_id)
            return
        detail = f"this renter has quote {other_id} open with this device: one at a time"
        raise Conflict("quote_already_open", detail, quote_id=other_id)


def _signed_alone(quote: QuoteSession, given: AgreementSignature) -> AgreementSigned:
    return AgreementSigned(
        quote_id=quote.quote_id, device=quote.request.device, by=given.by, round=len(quote.offers) - 1
    )
