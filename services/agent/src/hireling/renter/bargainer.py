"""The renter's agent at the table.

It asks, makes its counter-offer, checks every term, and has the wallet sign what it may.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from hireling.announce import Announce
from hireling.bargaining.concession import Accept, Counter, renter_reply
from hireling.clock import Clock
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView, QuoteView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.errors import OfferRefused
from hireling.rental.listing import ListingDocument, SignedListing
from hireling.rental.mandate import Clearance, MandateLimits, SignedMandate, sign_mandate
from hireling.rental.offer import (
    Offer,
    QuoteRequest,
    SignedOffer,
    agreement_from,
    check_sequence,
    counter,
    quote_of,
    sign_offer,
)
from hireling.rental.signing import Secp256k1Key, Signer, sign
from hireling.rental.tariff import scaled, worst_case
from hireling.rental.typed_data import Domain

ANSWER_WITHIN = timedelta(seconds=60)
ASK_AGAIN_SECONDS = 0.1
MANDATE_HOLDS = timedelta(days=1)
COUNTER_OFFERS = 1
OPENING_PERCENT = 90
# What the owner fixed in its listing and nobody may change at the table.
LISTED_TERMS = (
    "owner", "owner_agent", "meter", "deposit", "notice", "claim_window", "challenge_window",
    "ceiling_seconds", "grace",
)  # fmt: skip
PLATFORM_TERMS = ("chain_id", "escrow", "token", "fee_bps", "fee_to", "arbiter")


class NoDeal(Exception):
    """No agreement came about; the message says why, with the numbers."""


@dataclass(frozen=True)
class Wish:
    """What to rent, and the most it may cost.

    ``budget`` is in base units, the deposit apart; None: the listed worst case.
    """

    listing: ListingView
    seconds: int
    budget: int | None

    @property
    def document(self) -> ListingDocument:
        """Return what the owner listed."""
        return self.listing.document

    @property
    def limit(self) -> int:
        """Return the most that use may cost, in base units."""
        return worst_case(self.document.tariff, self.seconds) if self.budget is None else self.budget


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
    ) -> None:
        self._platform = platform
        self._facts = facts
        self._wallet = wallet
        self._session = session
        self._clock = clock
        self._announce = announce
        self._domain = Domain(chain_id=facts.chain_id, escrow=facts.escrow)

    async def agree(self, wish: Wish) -> SignedAgreement:
        """Bargain to an agreement that both sides signed.

        Raises NoDeal, PlatformError, or a RentalError for foul play.
        """
        SignedListing(document=wish.document, signature=wish.listing.signature).check(self._domain)
        quote = await self._ask(wish)
        counters = 0
        while True:
            quote = await self._wait_for_owner(quote)
            if quote.status == "agreed":
                break
            offer = self._checked_last(quote, wish)
            if "owner" in quote.signed_by:
                quote = await self._sign(quote, wish, reason="the owner signed this offer as it stands")
                continue
            if offer.round == 0:
                self._announce_quote(quote, offer)
            decision = renter_reply(
                all_in=offer.all_in,
                budget=wish.limit + wish.document.deposit,
                counters_made=counters,
                counters_wanted=COUNTER_OFFERS,
                opening_percent=OPENING_PERCENT,
            )
            if isinstance(decision, Counter):
                quote = await self._counter(quote, offer, wish, decision)
                counters += 1
            elif isinstance(decision, Accept):
                quote = await self._sign(quote, wish, reason=decision.reason)
            else:
                raise NoDeal(decision.reason)
        return await self._agreement(quote, wish)

    async def _ask(self, wish: Wish) -> QuoteView:
        request = QuoteRequest(
            device=wish.document.device,
            listing=wish.listing.listing,
            renter=self._wallet.identity,
            renter_agent=self._session.identity,
            seconds=wish.seconds,
            budget=wish.budget,
            start_at=int(self._clock.now().timestamp()),
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

    async def _counter(self, quote: QuoteView, offer: Offer, wish: Wish, decision: Counter) -> QuoteView:
        tariff = scaled(wish.document.tariff, decision.percent, 100)
        answer = counter(offer, tariff=tariff, now=self._clock.now())
        self._announce(
            "counter_offer",
            quote_id=quote.quote_id,
            max_total=answer.max_total,
            all_in=answer.all_in,
            reason=decision.reason,
        )
        return await self._platform.make_offer(quote.quote_id, sign_offer(self._session, answer))

    async def _sign(self, quote: QuoteView, wish: Wish, *, reason: str) -> QuoteView:
        last = quote.offers[-1]
        agreement = agreement_from(last.offer)
        self._mandate(wish).allows(agreement, clearance=Clearance(kind=wish.document.kind))
        self._announce("accepted", quote_id=quote.quote_id, max_total=last.offer.max_total, reason=reason)
        return await self._sign_offer(quote, last)

    async def _sign_offer(self, quote: QuoteView, last: SignedOffer) -> QuoteView:
        signature = sign(self._wallet, self._domain, agreement_from(last.offer))
        return await self._platform.sign_agreement(
            quote_id=quote.quote_id, by="renter", offer=last.hash, signature=signature
        )

    async def _agreement(self, quote: QuoteView, wish: Wish) -> SignedAgreement:
        if quote.rental_id is None:
            raise NoDeal("the marketplace says agreed and names no rental")
        agreement = await self._platform.agreement(quote.rental_id)
        agreement.check(self._clock.now())
        if agreement.offer != quote.offers[-1].offer or agreement.rental_id != quote.rental_id:
            raise NoDeal("the marketplace names another rental than the one that was signed")
        self._check_terms(agreement.offer, wish)
        return agreement

    def _checked_last(self, quote: QuoteView, wish: Wish) -> Offer:
        check_sequence(quote.request, [signed.offer for signed in quote.offers])
        last = quote.offers[-1]
        last.check(self._domain)
        self._check_terms(last.offer, wish)
        return last.offer

    def _check_terms(self, offer: Offer, wish: Wish) -> None:
        for names, stated in ((LISTED_TERMS, wish.document), (PLATFORM_TERMS, self._facts.terms)):
            for name in names:
                if getattr(offer, name) != getattr(stated, name):
                    said, given = getattr(stated, name), getattr(offer, name)
                    raise OfferRefused("other_terms", f"the offer's {name} is {given!r}, stated was {said!r}")
        if offer.max_total > wish.limit:
            raise OfferRefused("above_limit", f"at most {offer.max_total} asked, {wish.limit} is the limit")

    def _mandate(self, wish: Wish) -> SignedMandate:
        """Return the wallet's mandate for the session key: this rental, within this wish, for a day."""
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
