"""Names at the broker: got by a signature, kept, renewed in time, and thrown away when they do not serve."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from hireling.broker_pass import RENEW_AGAIN_SECONDS, UNKNOWN_FOR_SECONDS, BrokerPass
from hireling.mqtt_line import NotLetIn
from hireling.platform_client import PlatformClient
from hireling.rental.access import SignedBrokerAccess
from hireling.rental.reading import ClockQuality
from hireling.rental.signing import signer_of
from hireling.rental.typed_data import digest
from tests.builders import DOMAIN, METER_KEY

DEVICE = bytes([7]) * 32
SECONDS = 3_600
REPLAYED = {"code": "access_replayed", "detail": "answered before", "status": 403}
REVOKED = {"code": "meter_revoked", "detail": "the owner revoked its key", "status": 403}


class StepClock:
    """A clock that moves when somebody sleeps, the first two times; then nobody wakes."""

    boot = bytes(32)

    def __init__(self) -> None:
        self.ms = 0
        self.sleeps: list[float] = []
        self.stood_still = asyncio.Event()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.ms / 1000, UTC)

    def monotonic_ms(self) -> int:
        return self.ms

    def quality(self) -> ClockQuality:
        return ClockQuality.SYNCHRONISED

    async def sleep(self, seconds: float) -> None:
        if len(self.sleeps) == 2:
            self.stood_still.set()
            await asyncio.Event().wait()
        self.sleeps.append(seconds)
        self.ms += int(seconds * 1000)


class Marketplace:
    """Answers challenges with names, or with the problems it is told to answer with first."""

    def __init__(self, *problems: dict[str, Any]) -> None:
        self.problems = list(problems)
        self.wishes: list[SignedBrokerAccess] = []
        self.headers: list[httpx.Headers] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            challenge = {"broker": "mqtt://b:1", "at_ms": "5", "nonce": f"0x{len(self.wishes):064x}"}
            return httpx.Response(200, json=challenge)
        self.wishes.append(SignedBrokerAccess.model_validate_json(request.content))
        self.headers.append(request.headers)
        if self.problems:
            problem = self.problems.pop(0)
            return httpx.Response(problem["status"], text=json.dumps(problem))
        return httpx.Response(
            200, json={"username": "me", "password": f"p{len(self.wishes)}", "seconds": SECONDS}
        )


def with_pass(journey: Callable[[BrokerPass, StepClock], Any], market: Marketplace) -> None:
    """Go a journey with a pass of a device."""

    async def run() -> None:
        time = StepClock()
        platform = PlatformClient("http://market", transport=httpx.MockTransport(market.answer))
        try:
            await journey(BrokerPass(platform, domain=DOMAIN, key=METER_KEY, device=DEVICE, clock=time), time)
        finally:
            await platform.close()

    asyncio.run(run())


class TestBrokerPass:
    def test_signs_what_the_marketplace_asks(self) -> None:
        market = Marketplace()

        async def journey(entry: BrokerPass, _: StepClock) -> None:
            names = await entry.credentials()
            assert (names.username, names.password) == ("me", "p1")

        with_pass(journey, market)
        [wish] = market.wishes
        assert wish.access.device == DEVICE
        assert signer_of(digest(DOMAIN, wish.access), wish.signature) == METER_KEY.identity

    def test_asks_under_no_idempotency_key_for_its_answer_must_be_kept_nowhere(self) -> None:
        market = Marketplace()
        with_pass(lambda entry, _: entry.credentials(), market)
        assert "idempotency-key" not in market.headers[0]

    def test_keeps_a_name_while_it_is_good(self) -> None:
        market = Marketplace()

        async def journey(entry: BrokerPass, clock: StepClock) -> None:
            first = await entry.credentials()
            clock.ms += (SECONDS - 1) * 1000
            assert await entry.credentials() == first
            clock.ms += 1000
            assert (await entry.credentials()).password == "p2"

        with_pass(journey, market)

    def test_answers_a_new_challenge_where_one_was_answered_before(self) -> None:
        market = Marketplace(REPLAYED, REPLAYED)
        with_pass(lambda entry, _: entry.credentials(), market)
        assert len({wish.access.nonce for wish in market.wishes}) == 3

    def test_says_plainly_why_it_is_not_let_in(self) -> None:
        async def journey(entry: BrokerPass, _: StepClock) -> None:
            with pytest.raises(NotLetIn, match=r"the owner revoked its key \(meter_revoked\)"):
                await entry.credentials()

        with_pass(journey, Marketplace(REVOKED))

    def test_gives_the_broker_time_to_learn_of_a_new_name(self) -> None:
        async def journey(entry: BrokerPass, clock: StepClock) -> None:
            first = await entry.credentials()
            assert entry.note_refused()
            assert await entry.credentials() == first
            clock.ms += int(UNKNOWN_FOR_SECONDS * 1000)
            assert not entry.note_refused()
            assert await entry.credentials() != first

        with_pass(journey, Marketplace())

    def test_renews_a_name_at_two_thirds_of_its_time_and_goes_on_though_once_refused(self) -> None:
        market = Marketplace()

        async def journey(entry: BrokerPass, clock: StepClock) -> None:
            await entry.credentials()
            market.problems = [REVOKED]
            renewing = asyncio.create_task(entry.keep_fresh())
            async with asyncio.timeout(30):
                await clock.stood_still.wait()
            assert clock.sleeps == [SECONDS * 2 / 3, RENEW_AGAIN_SECONDS]
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            assert (await entry.credentials()).password == "p3"

        with_pass(journey, market)
