"""The negotiation service's entrypoints: decode, decide, store, answer."""

from datetime import timedelta
from functools import partial
from typing import Any

from sqlmodel import Session

from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import SignedApproval
from hireling.rental.errors import RentalError
from hireling.rental.mandate import SignedRevocation
from hireling.rental.offer import SignedOffer
from hireling.rental.states import State
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.concurrency import GreenTurns
from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.providers import Lasting
from services.messages.errors import NotFound, Refused
from services.messages.events.listing import ListingPublished
from services.messages.events.settlement import BillIssued, RentalChanged
from services.messages.negotiation import (
    AgreementSignature,
    CalendarView,
    Move,
    OfferMove,
    QuestionMove,
    SignatureMove,
    SignedQuoteRequest,
)
from services.messages.people import Person
from services.negotiation import calendar, delegate_store, mandates, people, store, taking_back
from services.negotiation.delegation import Delegation
from services.negotiation.facts import Facts
from services.negotiation.floor import Floor
from services.negotiation.session import QuoteSession
from services.negotiation.settings import NegotiationSettings

SETTINGS = NegotiationSettings()
EXPIRY_SECONDS = 5.0
# Taking turns only spares work. Whoever takes longer waits for another copy's lock, and is not waited for.
TURN_SECONDS = 0.5

# In these the machine is at work, or still promised to whoever agreed.
_USING = frozenset(
    {State.QUOTED, State.AGREED, State.FUNDED, State.ARMED, State.ACTIVE, State.SUSPENDED, State.ENDING}
)
_UNFUNDED = frozenset({State.QUOTED, State.AGREED})


class Negotiation(Delegation):
    """Carries offers between agents, and makes one agreement of the last."""

    name = "negotiation"
    personal = people.TABLES

    turns: GreenTurns = Lasting(partial(GreenTurns, patience=TURN_SECONDS))

    @rpc
    def request_quote(self, signed_request: dict[str, Any]) -> dict[str, Any]:
        """Open a session.

        The same question again is the same session; Conflict while the device is taken at that time,
        offline or re-listed.
        """
        signed = SignedQuoteRequest.model_validate(signed_request, strict=False)
        return self._alone(QuestionMove(document=signed))

    @rpc
    def get_quote(self, quote_id: str) -> dict[str, Any]:
        """Return a session. Raises NotFound."""
        with self.database.snapshot() as session:
            quote = self._found(session, quote_id)
        return _view(quote)

    @rpc
    def quote_marks(self, quote_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Return how far those of these sessions are that there are."""
        with self.database.looks() as session:
            found = store.marks_of(session, quote_ids, now=self.clock.now())
        return {name: mark.model_dump(mode="json") for name, mark in found.items()}

    @rpc
    def get_session_document(self, quote_id: str) -> dict[str, Any]:
        """Return everything of a session that was signed. Raises NotFound."""
        with self.database.snapshot() as session:
            quote = self._found(session, quote_id)
            document = store.document_of(session, quote)
        if document is None:
            raise NotFound("documents_not_kept", f"of quote {quote_id} not every signature was kept")
        return document.model_dump(mode="json")

    @rpc
    def get_calendar(self, device: str) -> dict[str, Any]:
        """Return when a device is promised, and not to whom. Raises NotFound."""
        offered = Facts(self._call).offered_by(from_hex(device))
        with self.database.snapshot() as session:
            busy = calendar.busy(session, device, now=self.clock.now())
        view = CalendarView(
            device=from_hex(device),
            books_ahead=offered.books_ahead if offered else 0,
            turnaround=offered.turnaround if offered else 0,
            busy=busy,
        )
        return view.model_dump(mode="json")

    @rpc
    def list_open_quotes(self, device: str) -> list[dict[str, Any]]:
        """Return the sessions that wait for this device's owner's agent, oldest first."""
        now = self.clock.now()
        with self.database.snapshot() as session:
            quotes = [quote.at(now) for quote in store.open_sessions_of(session, device, self.remembered)]
        return [_view(quote) for quote in quotes if quote.turn == "owner"]

    @rpc
    def make_offer(self, quote_id: str, signed_offer: dict[str, Any]) -> dict[str, Any]:
        """Put an offer on the table; the same offer again changes nothing."""
        offer = SignedOffer.model_validate(signed_offer, strict=False)
        if offer.offer.quote_id != quote_id:
            with self.database.snapshot() as session:
                self._found(session, quote_id)
            raise Refused("other_quote", f"the offer is for quote {offer.offer.quote_id}", quote_id=quote_id)
        return self._alone(OfferMove(document=offer))

    @rpc
    def sign_agreement(self, signature: dict[str, Any]) -> dict[str, Any]:
        """Add a side's signature over the last offer's agreement.

        The second one makes the rental, and takes its slot of the device's calendar, unless it is taken.
        """
        given = AgreementSignature.model_validate(signature, strict=False)
        return self._alone(SignatureMove(document=given))

    @rpc
    def make_moves(self, moves: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make moves in many sessions, in the order in which they come, and answer each on its own.

        What is done is durable then. A move made before is done; one that is refused hinders no other.
        """
        answers = self._floor.answers(moves, now=self.clock.now())
        return [answer.model_dump(mode="json") for answer in answers]

    @rpc
    def revoke_mandate(self, signed_revocation: dict[str, Any]) -> dict[str, Any]:
        """Keep a principal's word on its agents, and return the one that counts; from then on it holds."""
        word = SignedRevocation.model_validate(signed_revocation, strict=False)
        try:
            word.check(Facts(self._call).terms.domain)
        except RentalError as error:
            raise Refused(error.code, error.detail) from error
        with self.database.unit_of_work() as session:
            counts = mandates.note_revocation(session, word)
            delegate_store.end_revoked(session, word)
        return counts.model_dump(mode="json")

    @rpc
    def list_revocations(self, principal: str) -> list[dict[str, Any]]:
        """Return a principal's latest words on its agents, one a subject."""
        with self.database.looks() as session:
            return [word.model_dump(mode="json") for word in mandates.revocations_of(session, principal)]

    @rpc
    def approve_rental(self, signed_approval: dict[str, Any]) -> dict[str, Any]:
        """Keep a principal's word on a rental, for its agent to find; return the first, which counts."""
        word = SignedApproval.model_validate(signed_approval, strict=False)
        try:
            word.check(Facts(self._call).terms.domain)
        except RentalError as error:
            raise Refused(error.code, error.detail) from error
        with self.database.unit_of_work() as session:
            counts = mandates.note_approval(session, word)
        return counts.model_dump(mode="json")

    @rpc
    def list_approvals(self, rental_id: str) -> list[dict[str, Any]]:
        """Return what principals said of a rental."""
        with self.database.snapshot() as session:
            return [word.model_dump(mode="json") for word in mandates.approvals_of(session, rental_id)]

    @rpc
    def get_agreement(self, rental_id: str) -> dict[str, Any]:
        """Return what both sides signed. Raises NotFound."""
        with self.database.looks() as session:
            signed = store.find_agreement(session, rental_id)
        if signed is None:
            raise NotFound("agreement_not_found", f"no agreement {rental_id}", rental_id=rental_id)
        return signed

    @rpc
    def take_back_agreement(self, signed_agreement: dict[str, Any]) -> dict[str, Any]:
        """Make known again what both sides signed, where this platform has lost it; return it.

        One that is known changes nothing. Raises Refused, Conflict or NotFound as `taking_back` says.
        """
        signed = SignedAgreement.model_validate(signed_agreement, strict=False)
        with self.database.snapshot() as session:
            known = store.find_agreement(session, to_hex(signed.rental_id))
        if known is not None:
            return known
        lost = taking_back.checked(signed, Facts(self._call))
        hold, now = timedelta(seconds=SETTINGS.hold_seconds), self.clock.now()
        self.database.work(lambda session: taking_back.take_back(session, lost, hold=hold, now=now))
        return signed_agreement

    @rpc
    def quotes_of_person(self, person: dict[str, Any]) -> list[str]:
        """Return the sessions of a person as a renter, or about a device of its own."""
        with self.database.snapshot() as session:
            return people.quotes_of(session, Person.model_validate(person, strict=False))

    def require_erasable(self, session: Session, person: Person) -> None:
        """Raise Conflict while a session of this person is open."""
        people.require_erasable(session, person, now=self.clock.now())

    @on_event(ListingPublished)
    def on_listing_published(self, session: Session, event: ListingPublished) -> None:
        """End the questions about earlier listings that got no offer: nobody will answer them."""
        store.end_unanswered_quotes(
            session, device=f"0x{event.device.hex()}", listing=f"0x{event.listing.hex()}"
        )

    @on_event(RentalChanged)
    def on_rental_changed(self, session: Session, event: RentalChanged) -> None:
        """Keep a funded rental's slot for it, and let others have it once it no longer uses it."""
        mandates.note_state(session, event.rental_id, event.state)
        if event.state not in _USING:
            calendar.free(session, event.rental_id)
        elif event.state not in _UNFUNDED:
            calendar.note_funded(session, event.rental_id)

    @on_event(BillIssued)
    def on_bill_issued(self, session: Session, event: BillIssued) -> None:
        """Give the owner's mandate back what the rental did not use."""
        mandates.note_bill(session, event.rental_id, event.total)

    @timer(interval=EXPIRY_SECONDS)
    def close_expired(self) -> None:
        """Close the sessions in which nobody acted in time, and end delegates whose time is over."""
        with self.database.unit_of_work() as session:
            store.expire_quotes(session, self.clock.now())
            delegate_store.end_expired(session, self.clock.now())

    @property
    def _floor(self) -> Floor:
        patience = timedelta(seconds=SETTINGS.answer_seconds)
        hold = timedelta(seconds=SETTINGS.hold_seconds)
        return Floor(
            self.database,
            self.remembered,
            call=self._call,
            patience=patience,
            hold=hold,
            take_turn=self.turns.taken,
        )

    def _alone(self, move: Move) -> dict[str, Any]:
        """Make one move and return its session. Raises what keeps it from being made."""
        return _view(self._floor.make(move, now=self.clock.now()))

    def _found(self, session: Session, quote_id: str) -> QuoteSession:
        """Return a session as it stands now. Raises NotFound."""
        quote = store.load_all(session, [quote_id], self.remembered).get(quote_id)
        if quote is None:
            raise NotFound("quote_not_found", f"no quote {quote_id}", quote_id=quote_id)
        return quote.at(self.clock.now())


def _view(quote: QuoteSession) -> dict[str, Any]:
    return quote.view().model_dump(mode="json")
