"""The owner's agent at the table, where its machine is promised to others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from hireling.approvals import Approvals
from hireling.auctions.awards import Award
from hireling.auctions.steps import steps
from hireling.bargaining.wishes import OwnerWishes
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.device.bookings import Bookings
from hireling.device.negotiator import Brief, Negotiator
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import Broker
from hireling.platform_client import PlatformClient
from hireling.rental.moves import WonPrice
from hireling.rental.offer import QuoteRequest, counter, quote_of, sign_offer, terms_of
from hireling.rental.signing import sign
from hireling.rental.slot import Slot
from hireling.rental.table import START_STEP
from tests.integration.agent.marketplace import Marketplace
from tests.integration.agent.parties import Story, facts_of
from tests.unit.agent.device.test_bookings import IdleDriver
from tests.unit.agent.rentals import PARTIES

HOUR = 3_600
NO_WISHES = OwnerWishes()


@dataclass
class Table:
    """A machine's agent at the table, and the renter's side of it."""

    market: Marketplace
    platform: PlatformClient
    negotiator: Negotiator
    bookings: Bookings
    story: Story
    start: int

    async def ask(self) -> str:
        """Ask for an hour at the start; return the session's id."""
        [listing] = self.market.listings.values()
        request = QuoteRequest(
            device=listing.document.device,
            listing=listing.hash,
            renter=PARTIES.renter.identity,
            renter_agent=PARTIES.renter_agent.identity,
            seconds=HOUR,
            start_at=self.start,
        )
        domain = (await facts_of(self.market)).terms.domain
        signature = sign(PARTIES.renter_agent, domain, quote_of(request))
        return (await self.platform.request_quote(request, signature)).quote_id

    async def answer(self, quote_id: str) -> None:
        """Have the owner's agent make its move."""
        await self.negotiator.answer(await self.platform.quote(quote_id))


@asynccontextmanager
async def a_table(folder: Path, *, wishes: OwnerWishes = NO_WISHES) -> AsyncIterator[Table]:
    """Seat the agent of a machine that takes bookings, with starts up to an hour later on its agenda."""
    story, clock, market = Story(), SystemClock(), Marketplace(Broker("nowhere", 1), {})
    facts, bookings = await facts_of(market), Bookings(takes_bookings=True)
    platform = PlatformClient("http://market", transport=market.http)
    presence = Presence(
        platform=platform,
        facts=facts,
        machine=IdleDriver.facts,
        wishes=Wishes(later_starts=4, books_ahead_seconds=24 * HOUR),
        owner=PARTIES.owner,
        agent=PARTIES.owner_agent,
        meter=PARTIES.meter,
        clock=clock,
        announce=story,
    )
    await presence.arrive()
    brief = Brief(
        wishes=wishes,
        ledger=MandateLedger(folder / "mandates.sqlite"),
        approvals=Approvals(folder / "mandates.sqlite"),
        decisions=DecisionLog(folder / "decisions", side="owner"),
        bookings=bookings,
    )
    negotiator = Negotiator(
        platform=platform,
        facts=facts,
        presence=presence,
        key=PARTIES.owner_agent,
        clock=clock,
        announce=story,
        brief=brief,
    )
    later = int((clock.now() + timedelta(hours=6)).timestamp())
    try:
        yield Table(market, platform, negotiator, bookings, story, later - later % START_STEP)
    finally:
        await platform.close()


def test_leaves_a_question_for_a_time_that_is_promised_and_answers_it_once_it_is_free(tmp_path: Path) -> None:
    async def journey() -> None:
        async with a_table(tmp_path) as table:
            table.bookings.keep(b"other", Slot(table.start - HOUR, table.start + 1))
            quote_id = await table.ask()
            await table.answer(quote_id)
            assert table.market.quotes[quote_id].offers == []
            assert table.story.named("quote_left")[-1]["code"] == "slot_taken"
            table.bookings.release(b"other")
            await table.answer(quote_id)
            assert len(table.market.quotes[quote_id].offers) == 1

    asyncio.run(journey())


def test_offers_no_start_at_which_the_machine_is_promised_by_now(tmp_path: Path) -> None:
    async def journey() -> None:
        async with a_table(tmp_path) as table:
            quote_id = await table.ask()
            await table.answer(quote_id)
            first = table.market.quotes[quote_id].offers[0].offer
            # Promised meanwhile until a minute past the second of the five starts on the agenda.
            taken = Slot(table.start - HOUR, table.start + START_STEP + 60)
            table.bookings.keep(b"other", taken)
            low = replace(terms_of(first), deposit=first.deposit // 4)
            answer = sign_offer(PARTIES.renter_agent, counter(first, terms=low, now=SystemClock().now()))
            await table.platform.make_offer(quote_id, answer)
            await table.answer(quote_id)
            offered = table.market.quotes[quote_id].offers[-1].offer
            assert offered.round == 2
            assert offered.start_at >= table.start + 2 * START_STEP

    asyncio.run(journey())


def test_signs_nothing_for_a_time_that_is_promised_by_now(tmp_path: Path) -> None:
    async def journey() -> None:
        async with a_table(tmp_path) as table:
            quote_id = await table.ask()
            await table.answer(quote_id)
            quote = table.market.quotes[quote_id]
            quote.signatures["renter"] = b"by the renter, as the marketplace has checked"
            table.bookings.keep(b"other", Slot(table.start, table.start + 1))
            await table.answer(quote_id)
            assert set(quote.signatures) == {"renter"}
            assert table.story.named("quote_left")[-1]["code"] == "slot_taken"

    asyncio.run(journey())


@pytest.mark.parametrize(("percent", "offers"), [(84, 0), (86, 1)])
def test_offers_no_price_that_an_auction_found_below_the_owners_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, percent: int, offers: int
) -> None:
    async def journey() -> None:
        async with a_table(tmp_path, wishes=OwnerWishes(least_price_percent=86)) as table:
            quote_id = await table.ask()
            quote = await table.platform.quote(quote_id)
            [listing] = table.market.listings.values()
            found = steps(listing.document, HOUR)
            amount = next(amount for amount, step in found.items() if step == percent)
            award = Award(
                bidder=PARTIES.renter_agent.identity, device=quote.request.device, listing=listing.hash,
                renter=quote.request.renter, agent=quote.request.renter_agent, price=amount,
                until=table.start,
            )  # fmt: skip

            async def awarded(*_: object) -> Award:
                return award

            monkeypatch.setattr(Negotiator, "_award", awarded)
            won = WonPrice(auction=bytes(32), amount=amount)
            await table.negotiator.answer(quote.model_copy(update={"won": won}))
            assert len(table.market.quotes[quote_id].offers) == offers
            left = [event["code"] for event in table.story.named("quote_left")]
            assert left == ([] if offers else ["below_floor"])

    asyncio.run(journey())
