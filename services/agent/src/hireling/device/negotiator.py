"""The owner's agent at the table.

The listed price first, then what the default strategy makes of the owner's wishes, then a signature, which
the owner's mandate has to have room for.
"""

import asyncio
import secrets
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

from hireling.announce import Announce
from hireling.approvals import Approvals, Wanted
from hireling.auctions.awards import Award
from hireling.auctions.document import own_award
from hireling.bargaining.owners import MakeOffer, Position, SignLast, Thought, Won, owners_move
from hireling.bargaining.talks import describe
from hireling.bargaining.wishes import OwnerWishes, Preferences
from hireling.clock import Clock
from hireling.decision_log import DecisionLog
from hireling.device.bookings import Bookings
from hireling.device.moves import Moves
from hireling.device.presence import Presence
from hireling.device.price_bounds import held_to, require_floor
from hireling.device.pricing import Pricing
from hireling.mandate_ledger import MandateLedger
from hireling.oversight import Oversight
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformRefused
from hireling.platform_views import PlatformView, QuoteView
from hireling.rental.errors import AuctionRefused, RentalError
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import Clearance
from hireling.rental.offer import (
    Offer,
    SignedOffer,
    agreement_from,
    check_sequence,
    sign_offer,
)
from hireling.rental.signing import Signer, sign
from hireling.rental.table import Table
from hireling.rental.terms import rental_id

# What is left of an offer's time to sign and send after a person said yes.
ANSWERED_BEFORE = timedelta(seconds=5)


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What the owner's agent bargains by, and where it keeps what it promised and why."""

    wishes: OwnerWishes
    ledger: MandateLedger
    approvals: Approvals
    decisions: DecisionLog
    bookings: Bookings = field(default_factory=Bookings)
    zone: tzinfo = UTC
    hook: str | None = None
    pricing: Pricing | None = None


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
        brief: Brief,
        moves: Moves | None = None,
    ) -> None:
        """Without ``moves`` they are made by HTTP."""
        self._platform = platform
        self._moves: Moves = moves or platform
        self._facts = facts
        self._presence = presence
        self._key = key
        self._clock = clock
        self._announce = announce
        self._brief = brief
        self._oversight = Oversight(
            platform=platform,
            ledger=brief.ledger,
            approvals=brief.approvals,
            domain=presence.domain,
            principal=presence.parties.owner,
            clock=clock,
            announce=announce,
            hook=brief.hook,
        )

    async def answer(self, quote: QuoteView) -> None:
        """Make the owner's next move in a session.

        Raises PlatformError; what the rules forbid is announced and left alone.
        """
        try:
            await self._answer(quote)
        except (RentalError, PlatformRefused) as error:
            self._announce("quote_left", quote_id=quote.quote_id, code=error.code, reason=str(error))
        except ValueError as error:
            self._announce("quote_left", quote_id=quote.quote_id, code="out_of_bounds", reason=str(error))
        except (OSError, sqlite3.Error) as error:
            # What must be kept before a move is not kept: the move is not made.
            self._announce("quote_left", quote_id=quote.quote_id, code="disk_refuses", reason=str(error))

    async def require_allowed(self) -> None:
        """Raise MandateExceeded where the owner stopped this agent, PlatformError where that is not known."""
        await self._oversight.heed(self._presence.mandate)

    def least_percent(self, listing: bytes) -> int:
        """Return the owner's floor, in percent of what this listing asks."""
        return self._wishes(listing).least_price_percent

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
        if listing.owner_agent != self._key.identity:
            # Listed for a delegate of the platform: that one answers.
            return
        await self._oversight.heed(self._presence.mandate, before_signing=False)
        position = await self._position(quote, listing)
        move = owners_move(
            position,
            prefer=lambda taken: self._preferences(Table(listing=listing, request=quote.request), taken),
            is_promised=lambda slot: not self._brief.bookings.is_free(slot, now=self._clock.now()),
            turnaround=self._brief.bookings.turnaround,
            now=self._clock.now(),
            salt=secrets.token_bytes(32),
        )
        if move.thought is not None:
            await self._keep(quote, listing, move.thought)
        if isinstance(move, MakeOffer):
            await self._offer(quote, move.offer, reason=move.reason)
        elif isinstance(move, SignLast):
            await self._sign(quote, move.last, listing, reason=move.reason)
        else:
            self._announce("quote_left", quote_id=quote.quote_id, code=move.code, reason=move.reason)
            return
        if self._brief.pricing is not None and quote.won is None and not quote.offers:
            # What an auction found says nothing of what renters do at the listed price.
            self._brief.pricing.note_asked(quote.quote_id, self._price_of(quote))

    async def _position(self, quote: QuoteView, listing: ListingDocument) -> Position:
        won = None
        if quote.won is not None and not quote.offers:
            award = await self._award(quote, quote.won.auction)
            require_floor(self._wishes(quote.request.listing), listing, quote.request.seconds, award.price)
            won = Won(price=award.price, until=award.until)
        return Position(
            quote_id=quote.quote_id,
            listing=listing,
            request=quote.request,
            terms=self._facts.terms,
            offers=quote.offers,
            won=won,
        )

    async def _award(self, quote: QuoteView, auction: bytes) -> Award:
        """Return what the renter won, recomputed here from what was signed. Raises a RentalError."""
        document = await self._platform.auction_document(auction)
        if document.domain != self._presence.domain or document.notice.auction_id != auction:
            raise AuctionRefused("other_auction", "the marketplace gave another auction's document")
        return await asyncio.to_thread(
            own_award,
            document,
            keys={self._key.identity, self._presence.parties.owner},
            request=quote.request,
            now=self._clock.now(),
        )

    async def _keep(self, quote: QuoteView, listing: ListingDocument, thought: Thought) -> None:
        """Keep why before the move is made: none is ever on the wire without its record on the disk."""
        view, pricing = thought.view, self._brief.pricing
        if pricing is not None and (price := self._price_of(quote)) is not None:
            percent = listing.agenda.price[view.offers[-1][0]]
            pricing.note_bid(quote.quote_id, price * percent // 100)
        await asyncio.to_thread(
            self._brief.decisions.note, quote.quote_id, view, thought.decision, self._clock.now()
        )

    def _preferences(self, table: Table, taken: frozenset[int] = frozenset()) -> Preferences:
        wishes, agenda = self._wishes(table.request.listing), table.listing.agenda
        return wishes.preferences(agenda, start=table.start, zone=self._brief.zone, taken=taken)

    def _wishes(self, listing: bytes) -> OwnerWishes:
        """Return the owner's wishes, its floor in percent of the listing that is asked about."""
        wishes, price = self._brief.wishes, self._presence.price_of(listing)
        if self._brief.pricing is None or price is None:
            return wishes
        return held_to(wishes, self._brief.pricing.rules, price)

    def _price_of(self, quote: QuoteView) -> int | None:
        """Return the price per unit that a session began under."""
        return self._presence.price_of(quote.request.listing)

    async def _offer(self, quote: QuoteView, offer: Offer, *, reason: str) -> None:
        await self._moves.make_offer(quote.quote_id, sign_offer(self._key, offer))
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
        offer = last.offer
        agreement, mandate = agreement_from(offer), self._presence.mandate
        rental, now = rental_id(self._presence.domain, agreement), self._clock.now()
        approved = not mandate.needs_approval(agreement) or await self._is_approved(quote, last, listing)
        if not approved:
            return
        await self.require_allowed()
        clearance = Clearance(kind=listing.kind, listed=listing.tariff, offered=offer.tariff, approved=True)
        ledger = self._brief.ledger
        await asyncio.to_thread(
            ledger.reserve,
            mandate,
            agreement,
            domain=self._presence.domain,
            now=now,
            clearance=clearance,
        )
        signature = sign(self._key, self._presence.domain, agreement)
        await asyncio.to_thread(ledger.note_signed, rental, self._clock.now())
        view = await self._moves.sign_agreement(
            quote_id=quote.quote_id, by="owner", offer=last.hash, signature=signature
        )
        offers = [signed.offer for signed in quote.offers]
        outcome = check_sequence(listing, quote.request, offers)[-1]
        await asyncio.to_thread(self._brief.decisions.note_signed, quote.quote_id, rental, outcome, now)
        self._announce(
            "agreement_signed",
            quote_id=quote.quote_id,
            rental_id=f"0x{view.rental_id.hex()}" if view.rental_id else None,
            reason=reason,
        )

    async def _is_approved(self, quote: QuoteView, last: SignedOffer, listing: ListingDocument) -> bool:
        """Return whether a person agreed to this rental; where nobody did yet, it is asked about and left."""
        offer = last.offer
        outcomes = check_sequence(listing, quote.request, [signed.offer for signed in quote.offers])
        issues = self._preferences(Table(listing=listing, request=quote.request)).issues
        wanted = Wanted(
            rental_id=rental_id(self._presence.domain, agreement_from(offer)),
            session=quote.quote_id,
            side="owner",
            all_in=offer.all_in,
            words=describe(outcomes[-1], issues),
            answer_by=datetime.fromtimestamp(offer.valid_until, UTC) - ANSWERED_BEFORE,
        )
        state = await self._oversight.word_on(wanted)
        if state in {"refused", "too late"}:
            reason = f"above the approval threshold, and a person's word was: {state}"
            self._announce("quote_left", quote_id=quote.quote_id, code="not_approved", reason=reason)
        return state == "approved"
