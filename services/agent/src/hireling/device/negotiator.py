"""The owner's agent at the table.

The listed price first, then concessions down to the owner's floor, then a signature.
"""

import secrets

from hireling.announce import Announce
from hireling.bargaining.concession import Accept, Counter, owner_reply
from hireling.clock import Clock
from hireling.device.presence import Presence
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView, QuoteView
from hireling.rental.errors import RentalError
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import Clearance
from hireling.rental.offer import (
    Offer,
    SignedOffer,
    agreement_from,
    check_sequence,
    counter,
    first_offer,
    sign_offer,
)
from hireling.rental.signing import Signer, sign
from hireling.rental.tariff import scaled

OWNER_ROUND = 0  # even rounds are the owner's


class Negotiator:
    """Answers quotes whose turn is the owner's.

    Every answer follows from the session alone, so answering twice does no harm.
    """

    def __init__(
        self,
        *,
        platform: PlatformClient,
        facts: PlatformView,
        presence: Presence,
        key: Signer,
        clock: Clock,
        announce: Announce,
        floor_percent: int,
    ) -> None:
        self._platform = platform
        self._facts = facts
        self._presence = presence
        self._key = key
        self._clock = clock
        self._announce = announce
        self._floor_percent = floor_percent

    async def answer(self, quote: QuoteView) -> None:
        """Make the owner's next move in a session.

        Raises PlatformError; what the rules forbid is announced and left alone.
        """
        try:
            await self._answer(quote)
        except RentalError as error:
            self._announce("quote_left", quote_id=quote.quote_id, code=error.code, reason=str(error))

    async def _answer(self, quote: QuoteView) -> None:
        listing = self._presence.listing(quote.request.listing)
        if listing is None or quote.request.device != self._presence.device:
            self._announce(
                "quote_left",
                quote_id=quote.quote_id,
                code="other_listing",
                reason="asked under an older listing",
            )
            return
        if not quote.offers:
            await self._open(quote, listing)
            return
        last = quote.offers[-1]
        check_sequence(quote.request, [signed.offer for signed in quote.offers])
        if last.offer.round % 2 == OWNER_ROUND:
            # The renter has signed the agreement that the owner's own last offer makes.
            await self._sign(quote, last, listing, reason="the renter signed the offer as it stands")
            return
        last.check(self._presence.domain)
        await self._reply(quote, last, listing)

    async def _open(self, quote: QuoteView, listing: ListingDocument) -> None:
        offer = first_offer(
            listing,
            quote.request,
            self._facts.terms,
            self._clock.now(),
            secrets.token_bytes(32),
            quote.quote_id,
        )
        await self._offer(quote, offer, reason="the listed price")

    async def _reply(self, quote: QuoteView, last: SignedOffer, listing: ListingDocument) -> None:
        decision = owner_reply(
            listed=listing.tariff,
            offered=last.offer.tariff,
            floor_percent=self._floor_percent,
            round_number=last.offer.round,
        )
        if isinstance(decision, Accept):
            await self._sign(quote, last, listing, reason=decision.reason)
        elif isinstance(decision, Counter):
            tariff = scaled(listing.tariff, decision.percent, 100)
            await self._offer(
                quote, counter(last.offer, tariff=tariff, now=self._clock.now()), reason=decision.reason
            )
        else:
            self._announce("quote_left", quote_id=quote.quote_id, code="below_floor", reason=decision.reason)

    async def _offer(self, quote: QuoteView, offer: Offer, *, reason: str) -> None:
        await self._platform.make_offer(quote.quote_id, sign_offer(self._key, offer))
        self._announce(
            "quoted",
            quote_id=quote.quote_id,
            round=offer.round,
            max_total=offer.max_total,
            all_in=offer.all_in,
            reason=reason,
        )

    async def _sign(
        self, quote: QuoteView, last: SignedOffer, listing: ListingDocument, *, reason: str
    ) -> None:
        agreement = agreement_from(last.offer)
        self._presence.mandate.allows(
            agreement,
            clearance=Clearance(kind=listing.kind, listed=listing.tariff, offered=last.offer.tariff),
        )
        signature = sign(self._key, self._presence.domain, agreement)
        view = await self._platform.sign_agreement(
            quote_id=quote.quote_id, by="owner", offer=last.hash, signature=signature
        )
        self._announce(
            "agreement_signed",
            quote_id=quote.quote_id,
            rental_id=f"0x{view.rental_id.hex()}" if view.rental_id else None,
            reason=reason,
        )
