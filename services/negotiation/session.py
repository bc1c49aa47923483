"""A quote session.

One renter's question to one device, offers in turn, and the agreement both sides sign over the last of them.

Pure: every step takes a session and a message and returns the next session, the same one where the message
came before.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from hireling.auctions.steps import check_won_offer
from hireling.rental.agreement import (
    SignedAgreement,
    check_owner_signature,
    check_renter_signature,
)
from hireling.rental.appointment import SignedAppointment
from hireling.rental.errors import RentalError
from hireling.rental.limits import check_openable
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import Clearance, SignedMandate
from hireling.rental.offer import (
    LISTED,
    LONGEST_OFFER_SECONDS,
    Offer,
    PlatformTerms,
    QuoteRequest,
    SignedOffer,
    agreement_from,
    check_next,
)
from hireling.rental.typed_data import to_hex
from services.messages.errors import Conflict, Refused
from services.messages.negotiation import (
    AgreementSignature,
    QuoteStatus,
    QuoteView,
    SessionState,
    Side,
    WonPrice,
)

Turn = Side | Literal["none"]
LONGEST_OFFER = timedelta(seconds=LONGEST_OFFER_SECONDS)
# Until it is funded, an agreement keeps the device from everybody else.
LONGEST_FUNDING = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class QuoteSession:
    """Everything said so far, and the terms that held when it began."""

    quote_id: str
    request: QuoteRequest
    listing: ListingDocument
    mandate: SignedMandate
    terms: PlatformTerms
    answer_by: datetime
    listing_signature: bytes = b""
    request_signature: bytes = b""
    status: QuoteStatus = QuoteStatus.OPEN
    offers: tuple[SignedOffer, ...] = ()
    signatures: dict[Side, bytes] = field(default_factory=dict)
    won: WonPrice | None = None
    appointment: SignedAppointment | None = None

    @property
    def device(self) -> str:
        """Return the device as it travels."""
        return to_hex(self.request.device)

    @property
    def renter(self) -> str:
        """Return the renter as it travels."""
        return to_hex(self.request.renter)

    @property
    def last(self) -> SignedOffer | None:
        """Return the offer on the table."""
        return self.offers[-1] if self.offers else None

    @property
    def turn(self) -> Turn:
        """Return who has to act: who has not signed, else who was last offered something."""
        return turn_of(self.status, made=len(self.offers), signed_by=self.signatures)

    @property
    def rental_id(self) -> bytes | None:
        """Return the id of the rental that was agreed, if one was."""
        return self.agreement().rental_id if self.status is QuoteStatus.AGREED else None

    def at(self, now: datetime) -> "QuoteSession":
        """Return the session as it stands at `now`: expired where nobody acted in time."""
        status = status_at(now, self.status, answer_by=self.answer_by)
        return self if status is self.status else replace(self, status=status)

    def with_offer(self, signed: SignedOffer, *, now: datetime) -> "QuoteSession":
        """Return the session with one more offer.

        Raises Conflict out of turn, Refused for an offer that may not be made.
        """
        # Rounds have no gaps, so that an offer that was made stands at its round's place.
        place = signed.offer.round
        if place < len(self.offers) and self.offers[place].offer == signed.offer:
            return self
        self._require_open()
        last_round = self.listing.agenda.rounds
        if signed.offer.round > last_round:
            detail = f"round {signed.offer.round} is above {last_round}, the last"
            raise Refused("too_many_rounds", detail, round=signed.offer.round)
        if signed.offer.round != len(self.offers) or self.turn != side_of(len(self.offers)):
            raise Conflict(
                "not_your_turn",
                f"round {len(self.offers)} is next, turn: {self.turn}; this is round {signed.offer.round}",
                expected_round=len(self.offers),
                turn=self.turn,
            )
        self._check_offer(signed, now=now)
        until = datetime.fromtimestamp(signed.offer.valid_until, UTC)
        # A signature over the offer before went stale with it.
        return replace(self, offers=(*self.offers, signed), signatures={}, answer_by=until)

    def with_signature(self, signature: AgreementSignature, *, now: datetime) -> "QuoteSession":
        """Return the session with one side's signature over the last offer's agreement.

        With both it is agreed.

        Raises Conflict where another offer is on the table or the session is over, Refused for a signature
        that is not this side's.
        """
        last = self.last
        if last is None or signature.offer != last.hash:
            raise Conflict(
                "not_the_last_offer",
                "only the last offer can be agreed to" if last else "nothing was offered yet",
                last=f"0x{last.hash.hex()}" if last else None,
            )
        if signature.by in self.signatures:
            return self
        self._require_open()
        self._check_signature(last.offer, signature, now=now)
        signatures: dict[Side, bytes] = {**self.signatures, signature.by: signature.signature}
        status = QuoteStatus.AGREED if len(signatures) == 2 else QuoteStatus.OPEN
        return replace(self, signatures=signatures, status=status)

    def agreement(self) -> SignedAgreement:
        """Return what both sides signed. Raises Conflict unless both did."""
        last = self.last
        if last is None or len(self.signatures) != 2:
            raise Conflict("not_agreed", "this quote is not agreed", quote_id=self.quote_id)
        return SignedAgreement(
            domain=self.terms.domain,
            agreement=agreement_from(last.offer),
            offer=last.offer,
            owner_signature=self.signatures["owner"],
            renter_signature=self.signatures["renter"],
        )

    def view(self) -> QuoteView:
        """Return the session as both sides see it."""
        return QuoteView(
            quote_id=self.quote_id,
            status=self.status,
            turn=self.turn,
            request=self.request,
            offers=self.offers,
            signed_by=tuple(sorted(self.signatures)),
            rental_id=self.rental_id,
            won=self.won,
            appointment=self.appointment,
        )

    def state(self) -> SessionState:
        """Return where the session stands, without its documents."""
        return SessionState(
            status=self.status,
            turn=self.turn,
            offers=len(self.offers),
            signed_by=tuple(sorted(self.signatures)),
            rental_id=self.rental_id,
        )

    def _require_open(self) -> None:
        if self.status is not QuoteStatus.OPEN:
            raise Conflict("quote_closed", f"this quote is {self.status.value}", status=self.status.value)

    def _check_offer(self, signed: SignedOffer, *, now: datetime) -> None:
        offer = signed.offer
        try:
            signed.check_signature(self.terms.domain)
            # Those before it were checked when they came. Amounts are checked in here too.
            check_next(self.listing, self.request, [made.offer for made in self.offers], offer)
            if self.won is not None:
                check_won_offer(self.listing, self.request, offer, amount=self.won.amount)
        except RentalError as error:
            raise Refused(error.code, error.detail) from error
        self._check_names(offer)
        _check_times(offer, now=now)
        if side_of(offer.round) == "owner":
            self._check_mandate(offer)

    def _check_names(self, offer: Offer) -> None:
        if offer.quote_id != self.quote_id:
            raise Refused("other_quote", f"the offer is for quote {offer.quote_id}", quote_id=self.quote_id)
        for name in PlatformTerms.model_fields:
            if getattr(offer, name) != getattr(self.terms, name):
                raise Refused(
                    "not_the_platforms_terms", f"the offer's {name} is not this platform's", term=name
                )
        for name in LISTED:
            if getattr(offer, name) != getattr(self.listing, name):
                raise Refused("not_as_listed", f"the offer's {name} is not the listing's", term=name)

    def _check_mandate(self, offer: Offer) -> None:
        """Raise Refused unless the owner's agent may offer this, its other rentals apart."""
        try:
            self.mandate.allows(agreement_from(offer), clearance=self.clearance(offer))
        except RentalError as error:
            raise mandate_refused(error) from error

    def clearance(self, offer: Offer) -> Clearance:
        """Return what the owner's mandate has to know of an offer beside its agreement.

        Whether a person approved is between the agent and its owner.
        """
        return Clearance(
            kind=self.listing.kind, listed=self.listing.tariff, offered=offer.tariff, approved=True
        )

    def _check_signature(self, offer: Offer, signature: AgreementSignature, *, now: datetime) -> None:
        agreement = agreement_from(offer)
        check = check_owner_signature if signature.by == "owner" else check_renter_signature
        try:
            check_openable(agreement, now)
            check(self.terms.domain, agreement, signature.signature)
        except RentalError as error:
            raise Refused(error.code, error.detail) from error
        if signature.by == "owner":
            self._check_mandate(offer)


def mandate_refused(error: RentalError) -> Refused:
    """Return what the agent is told whose mandate does not allow something."""
    detail = f"the owner's mandate does not allow it: {error}"
    return Refused("mandate_exceeded", detail, limit=error.code)


def status_at(now: datetime, status: QuoteStatus, *, answer_by: datetime) -> QuoteStatus:
    """Return how a session stands at `now`: expired where nobody acted in time."""
    return QuoteStatus.EXPIRED if status is QuoteStatus.OPEN and now > answer_by else status


def turn_of(status: QuoteStatus, *, made: int, signed_by: Collection[Side]) -> Turn:
    """Return who has to act: who has not signed the last of so many offers, else whom it was made to."""
    if status is not QuoteStatus.OPEN:
        return "none"
    if len(signed_by) == 1:
        return "renter" if "owner" in signed_by else "owner"
    return side_of(made)


def side_of(number: int) -> Side:
    """Return whose turn this round is: even ones are the owner's agent's, odd ones the renter's."""
    return "owner" if number % 2 == 0 else "renter"


def _check_times(offer: Offer, *, now: datetime) -> None:
    at = int(now.timestamp())
    latest = at + int(LONGEST_OFFER.total_seconds())
    if not at < offer.valid_until <= latest:
        detail = f"an offer is good for at most {latest - at} s from {at}: not until {offer.valid_until}"
        raise Refused("offer_expiry", detail, valid_until=offer.valid_until, latest=latest)
    longest = int(LONGEST_FUNDING.total_seconds())
    if not at < offer.fund_by <= at + longest:
        detail = f"funding takes at most {longest} s from {at}: not until {offer.fund_by}"
        raise Refused("funding_too_long", detail, fund_by=offer.fund_by, latest=at + longest)
