"""Rentals that a renter's agent left unfinished: each goes on to its own end."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hireling.clock import SystemClock
from hireling.keystore import Keystore
from hireling.mqtt_line import Broker
from hireling.rental.agreement import SignedAgreement
from hireling.rental.offer import first_offer
from hireling.rental.reading import ReadingChain
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from hireling.renter.book import Page
from hireling.renter.funding import FundingFailed
from hireling.renter.resuming import NotAllBilled, Resuming
from tests.integration.agent.market_rows import Rental
from tests.integration.agent.marketplace import Marketplace
from tests.integration.agent.parties import Renter, a_device, a_renter
from tests.integration.agent.test_rental import a_marketplace, a_replay, run, the_listing
from tests.unit.agent.rentals import a_listing, a_request, platform_terms, signed_by_both


def an_agreement(*, agreed_at: datetime) -> SignedAgreement:
    """Return one that was to begin at once."""
    until = int((agreed_at + timedelta(days=1)).timestamp())
    listing = a_listing().model_copy(update={"valid_until": until})
    request = a_request(listing).model_copy(update={"start_at": int(agreed_at.timestamp())})
    return signed_by_both(first_offer(listing, request, platform_terms(), agreed_at, b"s" * 32, "quote-1"))


def resuming(renter: Renter) -> Resuming:
    return Resuming(book=renter.book, carry=renter.agent.carry, clock=SystemClock(), announce=renter.story)


class TestAfterACrash:
    def test_a_rental_goes_on_beside_one_whose_key_is_gone(self, tmp_path: Path) -> None:
        async def rental() -> None:
            async with (
                a_marketplace() as market,
                a_device(market, a_replay(200), tmp_path / "device") as device,
            ):
                async with a_renter(market, tmp_path / "renter") as renter:
                    keyless = an_agreement(agreed_at=datetime.now(UTC) - timedelta(days=1))
                    renter.book.write(Page(agreement=keyless, session_key="session-gone", stage="running"))
                    listing = await the_listing(renter, device)
                    renting = asyncio.create_task(renter.agent.rent(listing, seconds=60, budget=None))
                    await renter.story.until("reading", times=20)
                    renting.cancel()
                    await asyncio.gather(renting, return_exceptions=True)
                async with a_renter(market, tmp_path / "renter") as again:
                    with pytest.raises(NotAllBilled, match=r"^1 of 2 rentals .*: 1 refused"):
                        await resuming(again).resume()
                await device.task

                (said,) = again.story.named("not_resumed")
                assert said["rental_id"] == to_hex(keyless.rental_id)
                assert "there is no key" in str(said["reason"])
                (left,) = again.book.unfinished()
                assert left.agreement == keyless
                assert len(again.story.named("bill")) == 1

        run(rental)


class TestNeverFunded:
    @pytest.mark.parametrize(
        ("ago", "node_stands_still", "stage"),
        [
            (timedelta(days=1), False, "done"),
            (timedelta(days=1), True, "agreed"),
            (timedelta(), False, "agreed"),
        ],
        ids=["late", "late, by a node that does not know", "in time"],
    )
    def test_it_is_over_once_the_escrow_can_hold_nothing_any_more(
        self, tmp_path: Path, ago: timedelta, node_stands_still: bool, stage: str
    ) -> None:
        async def rental() -> None:
            market, agreement = (
                Marketplace(Broker("nowhere", 1), {}),
                an_agreement(agreed_at=datetime.now(UTC) - ago),
            )
            if node_stands_still:
                market.chain.stands_still_since = datetime.now(UTC) - ago
            chain = ReadingChain(
                rental_id=agreement.rental_id, meter=agreement.agreement.pay.meter, domain=agreement.domain
            )
            market.rentals[to_hex(agreement.rental_id)] = Rental(
                agreement=agreement, quote_id="quote-1", chain=chain, state=State.EXPIRED
            )
            Keystore(tmp_path / "keys", passphrase="correct horse").load_or_create("session-1")
            async with a_renter(market, tmp_path) as renter:
                page = renter.book.write(Page(agreement=agreement, session_key="session-1", stage="agreed"))
                with pytest.raises(FundingFailed, match="nothing is locked"):
                    await renter.agent.carry(page)
                assert renter.book.read(agreement.rental_id).stage == stage

        run(rental)
