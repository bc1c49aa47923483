"""A machine reminds a marketplace that was restored from a backup of what was agreed since."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast

import pytest

from hireling.clock import SystemClock
from hireling.device.engagement import Engagement
from hireling.device.reminding import Reminding
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound, PlatformRefused
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling, first_ceiling, sign_ceiling
from tests.builders import RENTER_AGENT_KEY, signed_agreement

SIGNED = signed_agreement()
CEILING = sign_ceiling(
    RENTER_AGENT_KEY, SIGNED.domain, first_ceiling(SIGNED.agreement, rental_id=SIGNED.rental_id)
)


class QuickClock(SystemClock):
    """Waits for nothing."""

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        await asyncio.sleep(0)


@dataclass
class Marketplace:
    """A marketplace that lost everything; its metering hears of an agreement a little later."""

    refuses: str = ""
    hears_after: int = 2
    agreements: dict[bytes, SignedAgreement] = field(default_factory=dict)
    ceilings: list[SignedCeiling] = field(default_factory=list)

    async def agreement(self, rental_id: bytes) -> SignedAgreement:
        """Return what is known."""
        if rental_id not in self.agreements:
            raise PlatformNotFound(status=404, code="agreement_not_found", detail="")
        return self.agreements[rental_id]

    async def hand_in_agreement(self, signed: SignedAgreement) -> None:
        """Know it, or refuse it."""
        if self.refuses:
            raise PlatformRefused(status=409, code=self.refuses, detail="")
        self.agreements[signed.rental_id] = signed

    async def submit_ceiling(self, rental_id: bytes, ceiling: SignedCeiling) -> None:
        """Keep it, once the rental is known here too."""
        if self.hears_after:
            self.hears_after -= 1
            raise PlatformNotFound(status=404, code="rental_not_found", detail="")
        self.ceilings.append(ceiling)


@dataclass
class Served:
    """A rental that the machine serves."""

    is_funded: bool = True
    is_forgotten: bool = False
    agreement: SignedAgreement = SIGNED
    ceiling: SignedCeiling | None = CEILING
    remembered: int = 0
    is_paid_out: bool = False
    is_done: bool = False

    async def is_done_on_chain(self) -> bool:
        """Return what the escrow says."""
        return self.is_done

    @property
    def rental_id(self) -> bytes:
        """Return its id."""
        return self.agreement.rental_id

    def on_paid_out(self) -> None:
        """Wait for no bill."""
        self.is_paid_out = True

    def on_remembered(self) -> None:
        """Count how often all is to be sent again."""
        self.remembered, self.is_forgotten = self.remembered + 1, False


@pytest.fixture
def market() -> Marketplace:
    return Marketplace()


def remind(
    market: Marketplace, served: Served, *, times: int = 1, known: Collection[bytes] = ()
) -> list[str]:
    """Have the machine look so often; return what it announced."""
    said: list[str] = []
    reminding = Reminding(
        platform=cast(PlatformClient, market),
        clock=QuickClock(),
        announce=lambda event, **_: said.append(event),
    )
    for _ in range(times):
        asyncio.run(reminding.remind([cast(Engagement, served)], known=known))
    return said


class TestRemind:
    def test_hands_in_what_was_lost_and_sends_all_again_once(self, market: Marketplace) -> None:
        served = Served()
        assert remind(market, served, times=3) == ["agreement_handed_in"]
        assert market.agreements == {SIGNED.rental_id: SIGNED}
        assert market.ceilings == [CEILING]
        assert served.remembered == 1

    def test_sends_nothing_before_the_ceiling_was_taken(self, market: Marketplace) -> None:
        market.hears_after = 25
        served = Served()
        remind(market, served)
        assert (served.remembered, served.is_forgotten) == (0, True)
        remind(market, served)
        assert (served.remembered, served.is_forgotten) == (1, False)

    def test_sends_all_again_where_the_renter_was_first(self, market: Marketplace) -> None:
        market.agreements[SIGNED.rental_id] = SIGNED
        served = Served(is_forgotten=True)
        assert remind(market, served, known=[SIGNED.rental_id]) == []
        assert served.remembered == 1

    def test_has_no_ceiling_to_hand_in_before_the_renter_came(self, market: Marketplace) -> None:
        served = Served(ceiling=None)
        remind(market, served)
        assert served.remembered == 1

    def test_leaves_alone_what_is_known_or_not_funded(self, market: Marketplace) -> None:
        assert remind(market, Served(), known=[SIGNED.rental_id]) == []
        assert remind(market, Served(is_funded=False)) == []
        assert market.agreements == {}

    def test_of_a_rental_that_is_only_not_listed_nothing_is_sent_again(self, market: Marketplace) -> None:
        market.agreements[SIGNED.rental_id] = SIGNED
        served = Served()
        assert remind(market, served) == []
        assert served.remembered == 0

    def test_waits_for_nothing_where_the_escrow_has_paid_out(self, market: Marketplace) -> None:
        market.refuses = "already_paid_out"
        served = Served()
        assert remind(market, served) == []
        assert (served.is_paid_out, served.is_forgotten, served.remembered) == (True, False, 0)

    def test_says_once_that_the_terms_are_others_now(self, market: Marketplace) -> None:
        market.refuses = "not_the_platforms_terms"
        served = Served()
        assert remind(market, served, times=3) == ["agreement_not_taken_back"]
        assert (served.is_paid_out, served.remembered) == (False, 0)
        # Nobody but the escrow says when there is nothing left to wait for.
        served.is_done = True
        assert remind(market, served) == ["agreement_not_taken_back"]
        assert served.is_paid_out

    def test_tries_again_and_says_once_why_it_is_not_taken(self, market: Marketplace) -> None:
        market.refuses = "not_opened"
        served = Served()
        assert remind(market, served, times=3) == ["agreement_not_taken_back"]
        market.refuses = ""
        assert remind(market, served) == ["agreement_handed_in"]
        assert served.remembered == 1
