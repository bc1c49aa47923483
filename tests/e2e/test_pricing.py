"""A machine's pricing agent on a real marketplace: a new price is for the next question alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest

from hireling.announce import silent
from hireling.approvals import Approvals
from hireling.bargaining.wishes import OwnerWishes
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.device.negotiator import Brief, Negotiator
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.device.price_journal import FILE, Mode, PriceJournal, read_journal
from hireling.device.pricing import Pricing
from hireling.device.record_file import encode
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView, QuoteView
from hireling.pricing.rules import HOUR, PriceRules
from hireling.rental.offer import QuoteRequest, agreement_from, quote_of
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.tariff import scaled
from services.embedded.marketplace import Marketplace
from tests.e2e.deal import MACHINE, SECONDS, Keys
from tests.e2e.parties import until
from tests.unit.agent.rentals import HandClock

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

LISTED = 90_000_000
RULES = PriceRules(
    listed=LISTED,
    floor=LISTED * 8 // 10,
    ceiling=LISTED * 2,
    step=LISTED // 10,
)


@dataclass
class Scene:
    """A machine with its owner's agents, listed."""

    platform: PlatformClient
    facts: PlatformView
    presence: Presence
    negotiator: Negotiator
    pricing: Pricing
    clock: HandClock

    async def turn(self) -> None:
        """Let the pricing agent look."""
        await self.pricing.turn(self.presence, is_free=True)

    async def listing(self) -> ListingView:
        """Return what the marketplace shows of this machine."""
        shown = await self.platform.listings()
        (found,) = [one for one in shown if one.document.device == self.presence.device]
        return found

    async def ask(self, listing: ListingView, session: Secp256k1Key, wallet: Secp256k1Key) -> QuoteView:
        """Ask for a price under a listing, and return the session with the owner's first offer."""
        request = QuoteRequest(
            device=self.presence.device,
            listing=listing.listing,
            renter=wallet.identity,
            renter_agent=session.identity,
            seconds=SECONDS,
            start_at=int(SystemClock().now().timestamp()),
        )
        asked = await self.platform.request_quote(
            request, sign(session, self.presence.domain, quote_of(request))
        )
        await self.negotiator.answer(asked)
        return await self.platform.quote(asked.quote_id)


def a_crowd(folder: Path, clock: HandClock) -> None:
    """Keep the history of a machine that was asked for all the time until yesterday."""
    folder.mkdir(parents=True)
    hour = clock.at.replace(minute=0, second=0, microsecond=0)
    keys = [int((hour - number * HOUR).timestamp()) for number in range(24 * 14, 0, -1)]
    row = {"idle": 600, "busy": 3000, "questions": 3, "earned": 5, "agreed": [LISTED], "lost": []}
    lines = [encode({"kind": "row", "key": [at, LISTED, LISTED], **row}) for at in keys]
    (folder / FILE).write_bytes(b"".join(lines))


@asynccontextmanager
async def a_scene(market: Marketplace, home: Path, mode: Mode) -> AsyncIterator[Scene]:
    """List a machine with a pricing agent that has seen a crowd."""
    clock, keys = HandClock(SystemClock().now()), Keys()
    async with AsyncExitStack() as cleanup:
        platform = PlatformClient(market.settings.gateway_url)
        cleanup.push_async_callback(platform.close)
        facts = await platform.platform()
        a_crowd(home, clock)
        pricing = Pricing(
            mode=mode,
            rules=RULES,
            unit="kWh",
            token=facts.money,
            journal=PriceJournal(home, clock.now()),
            clock=clock,
            announce=silent,
        )
        presence = Presence(
            platform=platform,
            facts=facts,
            machine=MACHINE,
            wishes=Wishes(),
            owner=keys.owner,
            agent=keys.owner_agent,
            meter=keys.meter,
            clock=SystemClock(),
            announce=silent,
            price=pricing.price,
        )
        ledger = home / "mandates.sqlite"
        negotiator = Negotiator(
            platform=platform,
            facts=facts,
            presence=presence,
            key=keys.owner_agent,
            clock=SystemClock(),
            announce=silent,
            brief=Brief(
                wishes=OwnerWishes(least_price_percent=80),
                ledger=MandateLedger(ledger),
                approvals=Approvals(ledger),
                decisions=DecisionLog(home / "decisions", side="owner"),
                zone=UTC,
                pricing=pricing,
            ),
        )
        await presence.arrive()
        yield Scene(platform, facts, presence, negotiator, pricing, clock)


def test_a_new_price_is_listed_and_an_open_session_keeps_its_terms(
    common_market: Marketplace, tmp_path: Path
) -> None:
    async def work() -> None:
        async with a_scene(common_market, tmp_path / "on", "on") as scene:
            before = await scene.listing()
            wallet, session = Secp256k1Key.generate(), Secp256k1Key.generate()
            quote = await scene.ask(before, session, wallet)
            await scene.turn()
            assert (await scene.listing()).listing == before.listing  # somebody is at the table

            # By the pricing agent's clock that was a while ago; the session itself is still good.
            scene.clock.advance(400)
            await scene.turn()
            after = await scene.listing()
            assert after.document.tariff == scaled(before.document.tariff, 11, 10)
            assert scene.presence.price == LISTED + RULES.step

            offer = quote.offers[-1]
            assert offer.offer.tariff == before.document.tariff
            await scene.platform.sign_agreement(
                quote_id=quote.quote_id,
                by="renter",
                offer=offer.hash,
                signature=sign(wallet, scene.presence.domain, agreement_from(offer.offer)),
            )
            await scene.negotiator.answer(await scene.platform.quote(quote.quote_id))

            async def agreed() -> QuoteView | None:
                now = await scene.platform.quote(quote.quote_id)
                return now if now.rental_id is not None else None

            done = await until(agreed, "an agreement under the earlier listing")
            assert done.rental_id is not None
            rental = await scene.platform.agreement(done.rental_id)
            assert rental.offer.tariff == before.document.tariff
            assert rental.agreement == agreement_from(offer.offer)

    asyncio.run(work())


def test_shadow_lists_nothing_and_keeps_what_it_would_have_done(
    common_market: Marketplace, tmp_path: Path
) -> None:
    async def work() -> None:
        async with a_scene(common_market, tmp_path / "shadow", "shadow") as scene:
            before = await scene.listing()
            await scene.turn()

            assert (await scene.listing()).listing == before.listing
            seen = read_journal(tmp_path / "shadow")
            assert seen is not None
            (decided,) = seen.decisions
            assert (decided.mode, decided.reasons.to) == ("shadow", LISTED + RULES.step)

    asyncio.run(work())
