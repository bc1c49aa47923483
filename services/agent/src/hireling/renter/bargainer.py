"""The renter's agent at the table.

It asks, bargains by the default strategy for what the renter wishes, checks every term, and has the wallet
sign what its mandate has room for.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hireling.announce import Announce
from hireling.approvals import Approvals, Wanted
from hireling.auctions.steps import check_won_offer
from hireling.bargaining.session import Accept, Counter, SessionView
from hireling.bargaining.talks import Talks, describe, reason_for
from hireling.bargaining.wishes import RenterWishes
from hireling.clock import Clock
from hireling.decision_log import DecisionLog
from hireling.mandate_ledger import MandateLedger
from hireling.oversight import Oversight
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformRefused
from hireling.platform_views import ListingView, PlatformView, QuoteView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.errors import MandateExceeded, OfferRefused
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import Clearance, MandateLimits, SignedMandate, sign_mandate
from hireling.rental.offer import (
    LISTED,
    Offer,
    QuoteRequest,
    agreement_from,
    counter,
    quote_of,
    sign_offer,
    terms_of,
)
from hireling.rental.signing import Secp256k1Key, Signer, sign
from hireling.rental.table import Table, Terms
from hireling.rental.tariff import worst_case
from hireling.rental.terms import rental_id
from hireling.rental.typed_data import Domain

ANSWER_WITHIN = timedelta(seconds=60)
ASK_AGAIN_SECONDS = 0.1
MANDATE_HOLDS = timedelta(days=1)
APPROVAL_POLL_SECONDS = 0.5
# What is left of an offer's time to sign and send after a person said yes.
ANSWERED_BEFORE = timedelta(seconds=5)
PLATFORM_TERMS = ("chain_id", "escrow", "token", "fee_bps", "fee_to", "arbiter")


class NoDeal(Exception):
    """No agreement came about; the message says why, with the numbers."""


@dataclass(frozen=True)
class Wish:
    """What to rent, and the most it may cost.

    ``budget`` is in base units, the deposit apart; None: the listed worst case. ``start_at`` is in Unix
    seconds; None: now. ``won`` is the amount that an auction awarded: the price is fixed then.
    """

    listing: ListingView
    seconds: int
    budget: int | None
    start_at: int | None = None
    won: int | None = None

    @property
    def document(self) -> ListingDocument:
        """Return what the owner listed."""
        return self.listing.document

    @property
    def limit(self) -> int:
        """Return the most that use may cost, in base units."""
        if self.won is not None:
            return self.won
        return worst_case(self.document.tariff, self.seconds) if self.budget is None else self.budget


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What the renter's agent bargains by, and where it keeps what it promised and why."""

    ledger: MandateLedger
    approvals: Approvals
    decisions: DecisionLog
    wishes: RenterWishes = field(default_factory=RenterWishes)
    hook: str | None = None


class Bargainer:
    """One session with one machine."""

    def __init__(
        self,
        *,
        platform: PlatformClient,
        facts: PlatformView,
        wallet: Secp256k1Key,
        session: Signer,
        clock: Clock,
        announce: Announce,
        brief: Brief,
    ) -> None:
        self._brief = brief
        self._platform = platform
        self._facts = facts
        self._wallet = wallet
        self._session = session
        self._clock = clock
        self._announce = announce
        self._domain = Domain(chain_id=facts.chain_id, escrow=facts.escrow)
        self._oversight = Oversight(
            platform=platform,
            ledger=brief.ledger,
            approvals=brief.approvals,
            domain=self._domain,
            principal=wallet.identity,
            clock=clock,
            announce=announce,
            hook=brief.hook,
        )

    async def agree(self, wish: Wish) -> SignedAgreement:
        """Bargain to an agreement that both sides signed.

        Raises NoDeal, PlatformError, or a RentalError for foul play.
        """
        SignedListing(document=wish.document, signature=wish.listing.signature).check(self._domain)
        mandate = await self._mandate(wish)
        quote = await self._ask(wish)
        talks = self._talks(quote, wish)
        while True:
            quote = await self._wait_for_owner(quote)
            if quote.status == "agreed":
                break
            await self._heed(mandate, before_signing=False)
            view = self._checked(quote, wish, talks)
            if wish.won is not None or "owner" in quote.signed_by:
                reason = "the owner signed this offer as it stands"
                if wish.won is not None:
                    check_won_offer(wish.document, quote.request, quote.offers[-1].offer, amount=wish.won)
                    reason = "the price that the auction found"
                quote = await self._sign(quote, wish, mandate, reason=reason)
                continue
            offer = quote.offers[-1].offer
            if offer.round == 0:
                self._announce_quote(quote, offer)
            decision = talks.negotiator.step(view)
            # Why comes before what: a move is never on the wire without its record on the disk.
            now = self._clock.now()
            await asyncio.to_thread(self._brief.decisions.note, quote.quote_id, view, decision, now)
            reason = reason_for(decision, view.issues)
            if isinstance(decision, Counter):
                quote = await self._counter(quote, talks.terms(decision.offer), reason=reason)
            elif isinstance(decision, Accept):
                quote = await self._sign(quote, wish, mandate, reason=reason)
            else:
                raise NoDeal(f"no deal: {reason}")
        agreed = await self._agreement(quote, wish)
        outcome = talks.table.outcome(terms_of(agreed.offer))
        now = self._clock.now()
        await asyncio.to_thread(
            self._brief.decisions.note_signed, quote.quote_id, agreed.rental_id, outcome, now
        )
        return agreed

    def _talks(self, quote: QuoteView, wish: Wish) -> Talks:
        try:
            preferences = self._brief.wishes.preferences(wish.document.agenda)
        except ValueError as error:
            raise NoDeal(f"no deal: {error}") from error
        table = Table(listing=wish.document, request=quote.request)
        return Talks(table=table, preferences=preferences)

    async def _ask(self, wish: Wish) -> QuoteView:
        request = QuoteRequest(
            device=wish.document.device,
            listing=wish.listing.listing,
            renter=self._wallet.identity,
            renter_agent=self._session.identity,
            seconds=wish.seconds,
            budget=wish.budget,
            start_at=int(self._clock.now().timestamp()) if wish.start_at is None else wish.start_at,
        )
        return await self._platform.request_quote(
            request, sign(self._session, self._domain, quote_of(request))
        )

    async def _wait_for_owner(self, quote: QuoteView) -> QuoteView:
        until = self._clock.now() + ANSWER_WITHIN
        while not _is_for_renter(quote):
            if quote.status in {"expired", "ended"}:
                raise NoDeal(f"the owner's agent did not agree: the session has {quote.status}")
            if self._clock.now() > until:
                raise NoDeal(f"the owner's agent did not answer within {ANSWER_WITHIN.seconds} s")
            known, quote = quote, await self._platform.quote_after(quote)
            if quote == known:
                # The marketplace has waited, or does not: either way it is not asked without a pause.
                await self._clock.sleep(ASK_AGAIN_SECONDS)
        return quote

    async def _counter(self, quote: QuoteView, terms: Terms, *, reason: str) -> QuoteView:
        answer = counter(quote.offers[-1].offer, terms=terms, now=self._clock.now())
        self._announce(
            "counter_offer",
            quote_id=quote.quote_id,
            max_total=answer.max_total,
            all_in=answer.all_in,
            reason=reason,
        )
        return await self._platform.make_offer(quote.quote_id, sign_offer(self._session, answer))

    async def _sign(self, quote: QuoteView, wish: Wish, mandate: SignedMandate, *, reason: str) -> QuoteView:
        last, ledger = quote.offers[-1], self._brief.ledger
        agreement = agreement_from(last.offer)
        if mandate.needs_approval(agreement):
            await self._wait_for_approval(quote, wish)
        await self._heed(mandate)
        await asyncio.to_thread(
            ledger.reserve,
            mandate,
            agreement,
            domain=self._domain,
            now=self._clock.now(),
            clearance=Clearance(kind=wish.document.kind, approved=True),
        )
        signature = sign(self._wallet, self._domain, agreement)
        rental = rental_id(self._domain, agreement)
        await asyncio.to_thread(ledger.note_signed, rental, self._clock.now())
        self._announce("accepted", quote_id=quote.quote_id, max_total=last.offer.max_total, reason=reason)
        try:
            return await self._platform.sign_agreement(
                quote_id=quote.quote_id, by="renter", offer=last.hash, signature=signature
            )
        except PlatformRefused:
            # Nothing of ours is locked by this signature alone: the wallet's permit is what opens the escrow.
            await asyncio.to_thread(ledger.release, rental)
            raise

    async def _wait_for_approval(self, quote: QuoteView, wish: Wish) -> None:
        """Wait until a person agrees to the last offer. Raises NoDeal: a no, or nobody's answer in time."""
        offer = quote.offers[-1].offer
        table = Table(listing=wish.document, request=quote.request)
        issues = self._brief.wishes.preferences(wish.document.agenda).issues
        wanted = Wanted(
            rental_id=rental_id(self._domain, agreement_from(offer)),
            session=quote.quote_id,
            side="renter",
            all_in=offer.all_in,
            words=describe(table.outcome(terms_of(offer)), issues),
            answer_by=datetime.fromtimestamp(offer.valid_until, UTC) - ANSWERED_BEFORE,
        )
        while (state := await self._oversight.word_on(wanted)) != "approved":
            if state != "waiting":
                raise NoDeal(f"{offer.all_in} needs a person's word, and that was: {state}")
            await self._clock.sleep(APPROVAL_POLL_SECONDS)

    async def _agreement(self, quote: QuoteView, wish: Wish) -> SignedAgreement:
        if quote.rental_id is None:
            raise NoDeal("the marketplace says agreed and names no rental")
        agreement = await self._platform.agreement(quote.rental_id)
        agreement.check(self._clock.now())
        if agreement.offer != quote.offers[-1].offer or agreement.rental_id != quote.rental_id:
            raise NoDeal("the marketplace names another rental than the one that was signed")
        self._check_terms(agreement.offer, wish)
        return agreement

    def _checked(self, quote: QuoteView, wish: Wish, talks: Talks) -> SessionView:
        """Return the session as a negotiator sees it. Raises a RentalError for foul play."""
        view = talks.view([signed.offer for signed in quote.offers])
        last = quote.offers[-1]
        last.check(self._domain)
        self._check_terms(last.offer, wish)
        if quote.appointment is not None:
            quote.appointment.check_entitles(wish.document, domain=self._domain, now=self._clock.now())
        return view

    def _check_terms(self, offer: Offer, wish: Wish) -> None:
        for names, stated in ((LISTED, wish.document), (PLATFORM_TERMS, self._facts.terms)):
            for name in names:
                if getattr(offer, name) != getattr(stated, name):
                    said, given = getattr(stated, name), getattr(offer, name)
                    raise OfferRefused("other_terms", f"the offer's {name} is {given!r}, stated was {said!r}")
        if offer.max_total > wish.limit:
            raise OfferRefused("above_limit", f"at most {offer.max_total} asked, {wish.limit} is the limit")

    async def _mandate(self, wish: Wish) -> SignedMandate:
        """Return the mandate that the wallet granted, else one for this rental alone, for a day.

        Raises NoDeal where the wallet's owner stopped its agents.
        """
        ledger, now = self._brief.ledger, self._clock.now()
        granted = await asyncio.to_thread(ledger.standing, self._wallet.identity, self._domain, now)
        mandate = granted or self._mandate_for(wish)
        await self._heed(mandate)
        return mandate

    async def _heed(self, mandate: SignedMandate, *, before_signing: bool = True) -> None:
        """Ask, before each move, whether the wallet's owner stopped its agents. Raises NoDeal."""
        try:
            await self._oversight.heed(mandate, before_signing=before_signing)
        except MandateExceeded as error:
            raise NoDeal(str(error)) from error

    def _mandate_for(self, wish: Wish) -> SignedMandate:
        most = wish.limit + wish.document.deposit
        limits = MandateLimits(
            per_rental=most,
            total=most,
            max_rate_per_hour=(1 << 96) - 1,
            kinds=(wish.document.kind,),
            arbiters=(self._facts.arbiter,),
            tokens=(self._facts.token.address,),
            max_fee_bps=self._facts.fee_bps,
            longest_notice=wish.document.notice,
            longest_claim_window=wish.document.claim_window,
            longest_challenge_window=wish.document.challenge_window,
        )
        return sign_mandate(
            self._wallet,
            self._domain,
            agent=self._session.identity,
            limits=limits,
            valid_until=int((self._clock.now() + MANDATE_HOLDS).timestamp()),
            revocation=secrets.token_bytes(32),
        )

    def _announce_quote(self, quote: QuoteView, offer: Offer) -> None:
        self._announce(
            "quote",
            quote_id=quote.quote_id,
            max_total=offer.max_total,
            deposit=offer.deposit,
            all_in=offer.all_in,
        )


def _is_for_renter(quote: QuoteView) -> bool:
    return quote.status == "agreed" or (quote.status == "open" and quote.turn == "renter")
