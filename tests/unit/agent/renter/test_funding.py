"""The renter's money: what the marketplace does not say of it, the chain does."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hireling.handing_in import HandingIn, NotTakenBack, PaidOut
from hireling.json_rpc import ChainUnreachable
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound, PlatformRefused
from hireling.platform_views import RentalView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.states import State
from hireling.renter.funding import Funding, FundingFailed
from hireling.renter.wallet import Wallet
from tests.unit.agent.rentals import HandClock, an_offer, signed_by_both

AGREED = signed_by_both(an_offer())
FUND_BY = AGREED.agreement.rules.fund_by
NOTHING = Status(0)


@dataclass
class World:
    """A marketplace that was restored from a backup of before the agreement, and the chain beside it."""

    clock: HandClock = field(default_factory=HandClock)
    state: State | None = None
    status: Status = NOTHING
    chain_is_silent: bool = False
    refuses: str = ""
    reads_the_chain_at: float = 0
    """Until then it takes nothing back."""
    said: list[str] = field(default_factory=list)

    # -- the marketplace

    async def rental(self, rental_id: bytes) -> RentalView:
        """Return the rental, where it is known."""
        if self.state is None:
            raise PlatformNotFound(status=404, code="rental_not_found", detail="")
        return cast(RentalView, SimpleNamespace(state=self.state, progress=1, transactions=()))

    async def rental_after(self, known: RentalView) -> RentalView:
        """Wait as long as a long poll does, and return the rental."""
        await self.clock.sleep(8)
        return await self.rental(AGREED.rental_id)

    async def fund(self, rental_id: bytes, permit: Mapping[str, str]) -> RentalView:
        """Open nothing: it is open, or not known."""
        return await self.rental(rental_id)

    async def agreement(self, rental_id: bytes) -> SignedAgreement:
        """Return the agreement, where it is known."""
        await self.rental(rental_id)
        return AGREED

    async def hand_in_agreement(self, signed: SignedAgreement) -> None:
        """Take it back once the chain says that its money is there."""
        if self.refuses:
            raise PlatformRefused(status=409, code=self.refuses, detail="")
        if Status.OPEN not in self.status or self.clock.now().timestamp() < self.reads_the_chain_at:
            raise PlatformRefused(status=409, code="not_opened", detail="")
        self.state = State.FUNDED

    # -- the wallet

    async def permit(self, *, value: int, deadline: int) -> Mapping[str, str]:
        """Return a permit."""
        return {}

    async def locked(self, agreement: SignedAgreement) -> Slot:
        """Return what the escrow has."""
        if self.chain_is_silent:
            raise ChainUnreachable("no answer")
        return Slot(paid=0, tail=0, claim_by=0, funded_bps=10_000, status=self.status)


def wait(world: World, folder: Path, *, asks: bool = False) -> RentalView:
    """Ask for the money where `asks`, and wait for it; return the rental."""
    platform = cast(PlatformClient, world)
    funding = Funding(
        platform=platform,
        wallet=cast(Wallet, world),
        ledger=MandateLedger(folder / "mandates.sqlite"),
        clock=world.clock,
        handing_in=HandingIn(platform=platform, announce=lambda event, **_: world.said.append(event)),
    )

    async def journey() -> RentalView:
        async with asyncio.timeout(60):
            return await funding.wait(AGREED, await funding.request(AGREED) if asks else None)

    return asyncio.run(journey())


class TestARentalThatWasLostAfterItsOpening:
    @pytest.mark.parametrize("asks", [False, True])
    def test_is_handed_in(self, tmp_path: Path, asks: bool) -> None:
        world = World(status=Status.OPEN)
        assert wait(world, tmp_path, asks=asks).state is State.FUNDED
        assert world.said == ["agreement_handed_in"]
        assert world.clock.now().timestamp() < FUND_BY

    @pytest.mark.parametrize("asks", [False, True])
    def test_is_waited_for_beyond_its_time_while_the_escrow_holds_its_money(
        self, tmp_path: Path, asks: bool
    ) -> None:
        world = World(status=Status.OPEN, reads_the_chain_at=FUND_BY + 600)
        assert wait(world, tmp_path, asks=asks).state is State.FUNDED
        assert world.said == ["agreement_not_taken_back", "agreement_handed_in"]

    @pytest.mark.parametrize("asks", [False, True])
    def test_ends_where_it_was_paid_out(self, tmp_path: Path, asks: bool) -> None:
        with pytest.raises(PaidOut):
            wait(World(refuses="already_paid_out"), tmp_path, asks=asks)

    @pytest.mark.parametrize("asks", [False, True])
    def test_ends_where_the_terms_are_others_now(self, tmp_path: Path, asks: bool) -> None:
        world = World(status=Status.OPEN, refuses="not_the_platforms_terms")
        with pytest.raises(NotTakenBack, match=r"does not take it back: .* owner may claim .* until"):
            wait(world, tmp_path, asks=asks)
        assert world.said == ["agreement_not_taken_back"]
        assert world.clock.now().timestamp() < FUND_BY


class TestOnceItIsTooLate:
    @pytest.mark.parametrize("asks", [False, True])
    def test_nothing_is_locked_where_the_chain_says_so(self, tmp_path: Path, asks: bool) -> None:
        with pytest.raises(FundingFailed, match="nothing is locked"):
            wait(World(), tmp_path, asks=asks)

    @pytest.mark.parametrize("asks", [False, True])
    def test_nothing_is_said_where_the_chain_is_silent(self, tmp_path: Path, asks: bool) -> None:
        with pytest.raises(ChainUnreachable, match="is not known"):
            wait(World(chain_is_silent=True), tmp_path, asks=asks)
