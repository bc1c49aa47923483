"""Between the money and the start: waiting, calling off, and being declined."""

import asyncio
from collections.abc import Callable

from hireling.announce import silent
from hireling.mqtt_line import Broker
from hireling.platform_client import PlatformClient
from hireling.rental.agreement import SignedAgreement
from hireling.rental.close import Close
from hireling.rental.offer import first_offer
from hireling.rental.reading import ReadingChain
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from hireling.renter.booking import wait_for_start
from tests.integration.agent.market_rows import Rental
from tests.integration.agent.marketplace import Marketplace
from tests.unit.agent.rentals import (
    PARTIES,
    START,
    HandClock,
    a_listing,
    a_request,
    platform_terms,
    signed_by_both,
)

HOUR = 3_600


def a_booking() -> tuple[Marketplace, Rental]:
    """Return a marketplace with a funded rental that begins in an hour."""
    market, listing = Marketplace(Broker("nowhere", 1), {}), a_listing()
    request = a_request(listing).model_copy(update={"start_at": int(START.timestamp()) + HOUR})
    agreement: SignedAgreement = signed_by_both(
        first_offer(listing, request, platform_terms(), START, b"s" * 32, "quote-1")
    )
    chain = ReadingChain(rental_id=agreement.rental_id, meter=PARTIES.meter.identity, domain=agreement.domain)
    rental = Rental(agreement=agreement, quote_id="quote-1", chain=chain, state=State.FUNDED)
    market.rentals[to_hex(agreement.rental_id)] = rental
    return market, rental


def wait(
    market: Marketplace,
    rental: Rental,
    clock: HandClock,
    *,
    is_called_off: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait for the start; return whether the rental is still on."""

    async def journey() -> bool:
        platform = PlatformClient("http://market", transport=market.http)
        try:
            return await wait_for_start(
                rental.agreement,
                platform=platform,
                clock=clock,
                announce=silent,
                is_called_off=is_called_off,
            )
        finally:
            await platform.close()

    return asyncio.run(journey())


def passed(clock: HandClock) -> float:
    return (clock.now() - START).total_seconds()


def test_waits_until_the_start_and_no_longer() -> None:
    clock = HandClock()
    assert wait(*a_booking(), clock)
    assert passed(clock) == HOUR


def test_waits_no_longer_where_the_renter_calls_it_off() -> None:
    clock = HandClock()
    assert wait(*a_booking(), clock, is_called_off=lambda: passed(clock) >= 100)
    assert passed(clock) == 100


def test_is_over_where_the_owners_agent_closed_it() -> None:
    clock, (market, rental) = HandClock(), a_booking()
    close = Close(rental_id=rental.agreement.rental_id, use=0, damage=0, valid_until=0)
    rental.halves["owner"] = (close, b"")
    assert not wait(market, rental, clock)
    assert passed(clock) < 60


def test_is_over_where_it_was_cancelled() -> None:
    clock, (market, rental) = HandClock(), a_booking()
    rental.state = State.CANCELLED
    assert not wait(market, rental, clock)


def test_goes_on_while_the_marketplace_is_away() -> None:
    clock, (market, rental) = HandClock(), a_booking()
    market.is_down = True
    # Beyond the first look at the marketplace, which tells nothing.
    assert wait(market, rental, clock, is_called_off=lambda: passed(clock) >= 15)
    assert passed(clock) == 15
