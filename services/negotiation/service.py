"""The negotiation service's entrypoints: decode, decide, store, answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session

from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import SignedApproval
from hireling.rental.errors import RentalError
from hireling.rental.mandate import SignedRevocation
from hireling.rental.offer import PlatformTerms, SignedOffer
from hireling.rental.session_document import quote_id_of
from hireling.rental.states import State
from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.errors import Conflict, NotFound, Refused
from services.messages.events.listing import ListingPublished
from services.messages.events.negotiation import Agreed, AgreementSigned, OfferMade, QuoteRequested
from services.messages.events.settlement import BillIssued, RentalChanged
from services.messages.listing import DeviceView, ListingView
from services.messages.negotiation import AgreementSignature, QuoteStatus, SignedQuoteRequest
from services.messages.settlement import PlatformView
from services.negotiation import mandates, store
from services.negotiation.asking import check_question
from services.negotiation.models import TakenDevice
from services.negotiation.session import QuoteSession, side_of
from services.negotiation.settings import NegotiationSettings

SETTINGS = NegotiationSettings()
EXPIRY_SECONDS = 5.0

# In these the machine is at work, or still promised to whoever agreed.
_USING = frozenset(
    {State.QUOTED, State.AGREED, State.FUNDED, State.ARMED, State.ACTIVE, State.SUSPENDED, State.ENDING}
)


class Negotiation(Service):
    """Carries offers between agents, and makes one agreement of the last."""

    name = "negotiation"

    @rpc
    def request_quote(self, signed_request: dict[str, Any]) -> dict[str, Any]:
        """Open a session.

        The same question again is the same session; Conflict while the device is taken, offline or re-listed.
        """
        signed = SignedQuoteRequest.model_validate(signed_request, strict=False)
        quote_id = quote_id_of(signed.request)
        now = self.clock.now()
        with self.database.snapshot() as session:
            known = store.load(session, quote_id)
        if known is not None:
            return _view(known.at(now))
        quote = self._asked(signed, quote_id=quote_id, now=now)
        with self.database.unit_of_work() as session:
            return _view(_opened(session, quote, now=now))

    @rpc
    def get_quote(self, quote_id: str) -> dict[str, Any]:
        """Return a session. Raises NotFound."""
        with self.database.snapshot() as session:
            quote = _found(store.load(session, quote_id), quote_id)
        return _view(quote.at(self.clock.now()))

    @rpc
    def get_session_document(self, quote_id: str) -> dict[str, Any]:
        """Return everything of a session that was signed. Raises NotFound."""
        with self.database.snapshot() as session:
            quote = _found(store.load(session, quote_id), quote_id).at(self.clock.now())
            document = store.document_of(session, quote)
        if document is None:
            raise NotFound("documents_not_kept", f"of quote {quote_id} not every signature was kept")
        return document.model_dump(mode="json")

    @rpc
    def list_open_quotes(self, device: str) -> list[dict[str, Any]]:
        """Return the sessions that wait for this device's owner's agent, oldest first."""
        now = self.clock.now()
        with self.database.snapshot() as session:
            quotes = [quote.at(now) for quote in store.open_sessions_of(session, device)]
        return [_view(quote) for quote in quotes if quote.turn == "owner"]

    @rpc
    def make_offer(self, quote_id: str, signed_offer: dict[str, Any]) -> dict[str, Any]:
        """Put an offer on the table; the same offer again changes nothing."""
        offer = SignedOffer.model_validate(signed_offer, strict=False)
        now = self.clock.now()
        with self.database.unit_of_work() as session:
            quote = _found(store.load_locked(session, quote_id), quote_id).at(now)
            after = quote.with_offer(offer, now=now)
            if after != quote:
                if side_of(offer.offer.round) == "owner":
                    mandates.require_unrevoked(session, quote.mandate)
                store.save(session, after, now=now)
                made = OfferMade(quote_id=quote_id, device=quote.request.device, round=offer.offer.round)
                add_event(session, made, now=now)
        return _view(after)

    @rpc
    def sign_agreement(self, signature: dict[str, Any]) -> dict[str, Any]:
        """Add a side's signature over the last offer's agreement.

        The second one makes the rental, unless the device is taken.
        """
        given = AgreementSignature.model_validate(signature, strict=False)
        now = self.clock.now()
        with self.database.unit_of_work() as session:
            quote = _found(store.load_locked(session, given.quote_id), given.quote_id).at(now)
            after = quote.with_signature(given, now=now)
            if after != quote:
                if given.by == "owner":
                    mandates.reserve_for_owner(session, after, now=now)
                store.save(session, after, now=now)
            if after.status is QuoteStatus.AGREED and quote.status is not QuoteStatus.AGREED:
                _agree(session, after, now=now)
            elif after != quote:
                add_event(session, _signed_alone(after, given), now=now)
        return _view(after)

    @rpc
    def revoke_mandate(self, signed_revocation: dict[str, Any]) -> dict[str, Any]:
        """Keep a principal's word on its agents, and return the one that counts; from then on it holds."""
        word = SignedRevocation.model_validate(signed_revocation, strict=False)
        try:
            word.check(self._platform_terms().domain)
        except RentalError as error:
            raise Refused(error.code, error.detail) from error
        with self.database.unit_of_work() as session:
            counts = mandates.note_revocation(session, word)
        return counts.model_dump(mode="json")

    @rpc
    def list_revocations(self, principal: str) -> list[dict[str, Any]]:
        """Return a principal's latest words on its agents, one a subject."""
        with self.database.snapshot() as session:
            return [word.model_dump(mode="json") for word in mandates.revocations_of(session, principal)]

    @rpc
    def approve_rental(self, signed_approval: dict[str, Any]) -> dict[str, Any]:
        """Keep a principal's word on a rental, for its agent to find; return the first, which counts."""
        word = SignedApproval.model_validate(signed_approval, strict=False)
        try:
            word.check(self._platform_terms().domain)
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
        with self.database.snapshot() as session:
            row = store.find_agreement(session, rental_id)
        if row is None:
            raise NotFound("agreement_not_found", f"no agreement {rental_id}", rental_id=rental_id)
        return row.signed

    @on_event(ListingPublished)
    def on_listing_published(self, session: Session, event: ListingPublished) -> None:
        """End the questions about earlier listings that got no offer: nobody will answer them."""
        store.end_unanswered_quotes(
            session, device=f"0x{event.device.hex()}", listing=f"0x{event.listing.hex()}"
        )

    @on_event(RentalChanged)
    def on_rental_changed(self, session: Session, event: RentalChanged) -> None:
        """Let the next renter have the device once this rental no longer uses it."""
        mandates.note_state(session, event.rental_id, event.state)
        if event.state not in _USING:
            store.free_device(
                session, device=f"0x{event.device.hex()}", rental_id=f"0x{event.rental_id.hex()}"
            )

    @on_event(BillIssued)
    def on_bill_issued(self, session: Session, event: BillIssued) -> None:
        """Give the owner's mandate back what the rental did not use."""
        mandates.note_bill(session, event.rental_id, event.total)

    @timer(interval=EXPIRY_SECONDS)
    def close_expired(self) -> None:
        """Close the sessions in which nobody acted in time."""
        with self.database.unit_of_work() as session:
            store.expire_quotes(session, self.clock.now())

    def _asked(self, signed: SignedQuoteRequest, *, quote_id: str, now: datetime) -> QuoteSession:
        """Return the session that this question opens, on the terms that hold now."""
        request = signed.request
        listing = ListingView.model_validate(
            self._call("listing", "get_listing", f"0x{request.listing.hex()}"), strict=False
        )
        device = DeviceView.model_validate(
            self._call("listing", "get_device", f"0x{request.device.hex()}"), strict=False
        )
        terms = self._platform_terms()
        check_question(signed, listing=listing, device=device, terms=terms, now=now)
        return QuoteSession(
            quote_id=quote_id,
            request=request,
            listing=listing.document,
            mandate=device.mandate,
            terms=terms,
            listing_signature=listing.signature,
            request_signature=signed.signature,
            answer_by=now + timedelta(seconds=SETTINGS.answer_seconds),
        )

    def _platform_terms(self) -> PlatformTerms:
        platform = PlatformView.model_validate(self._call("settlement", "platform_terms"), strict=False)
        return PlatformTerms(
            chain_id=platform.chain_id,
            escrow=platform.escrow,
            token=platform.token.address,
            fee_bps=platform.fee_bps,
            fee_to=platform.fee_to,
            arbiter=platform.arbiter,
        )

    def _call(self, service: str, method: str, *arguments: Any) -> Any:
        return self.remote.call(service, method, *arguments, timeout=SETTINGS.call_seconds)


def _opened(session: Session, quote: QuoteSession, *, now: datetime) -> QuoteSession:
    device, renter = f"0x{quote.request.device.hex()}", f"0x{quote.request.renter.hex()}"
    _require_free(session, device)
    mandates.require_unrevoked(session, quote.mandate)
    store.expire_quotes(session, now)
    if not store.add_quote(session, quote, asked_at=now):
        again = store.load(session, quote.quote_id)
        if again is not None:
            return again.at(now)
        other = store.open_quote_of(session, device=device, renter=renter)
        other_id = other.quote_id if other else None
        detail = f"this renter has quote {other_id} open with this device: one at a time"
        raise Conflict("quote_already_open", detail, quote_id=other_id)
    add_event(session, QuoteRequested(quote_id=quote.quote_id, device=quote.request.device), now=now)
    return quote


def _signed_alone(quote: QuoteSession, given: AgreementSignature) -> AgreementSigned:
    return AgreementSigned(quote_id=quote.quote_id, device=quote.request.device, by=given.by)


def _agree(session: Session, quote: QuoteSession, *, now: datetime) -> None:
    """Make the rental, unless the device serves another one: then the whole step is undone."""
    agreed = quote.agreement()
    device = f"0x{quote.request.device.hex()}"
    taking = TakenDevice(device=device, rental_id=f"0x{agreed.rental_id.hex()}", until=_ends(agreed))
    # Freed between the two looks, by another copy of this service: the first look counts.
    if not store.take_device(session, taking):
        _require_free(session, device)
        raise Conflict("device_taken", "the device was just freed by another rental: please sign again")
    store.add_agreement(session, quote_id=quote.quote_id, agreed=agreed, now=now)
    add_event(session, Agreed(quote_id=quote.quote_id, rental_id=agreed.rental_id, signed=agreed), now=now)


def _require_free(session: Session, device: str) -> None:
    holder = store.taken(session, device)
    if holder is not None:
        raise Conflict(
            "device_taken",
            f"the device serves rental {holder.rental_id} until {holder.until:%Y-%m-%d %H:%M:%S} UTC "
            "at the latest: please ask again then",
            rental_id=holder.rental_id,
            until=holder.until.isoformat(),
        )


def _ends(agreed: SignedAgreement) -> datetime:
    return datetime.fromtimestamp(agreed.agreement.rules.end_by, UTC)


def _found(quote: QuoteSession | None, quote_id: str) -> QuoteSession:
    if quote is None:
        raise NotFound("quote_not_found", f"no quote {quote_id}", quote_id=quote_id)
    return quote


def _view(quote: QuoteSession) -> dict[str, Any]:
    return quote.view().model_dump(mode="json")
