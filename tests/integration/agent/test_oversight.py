"""People over agents: an approval is waited for, a no and silence sign nothing, a stop holds at once."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hireling.approvals import Approvals, Wanted
from hireling.bargaining.wishes import OwnerWishes
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog, read_stories
from hireling.device.negotiator import Brief as OwnerBrief
from hireling.device.negotiator import Negotiator
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import Broker
from hireling.platform_client import PlatformClient
from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import sign_approval
from hireling.rental.errors import MandateExceeded
from hireling.rental.mandate import SignedRevocation, sign_revocation
from hireling.rental.reservation import Stage
from hireling.rental.signing import Secp256k1Key
from hireling.renter.bargainer import Bargainer, NoDeal, Wish
from hireling.renter.bargainer import Brief as RenterBrief
from tests.builders import a_mandate
from tests.integration.agent.marketplace import Marketplace
from tests.integration.agent.parties import Story, facts_of
from tests.integration.agent.test_rental import a_replay
from tests.unit.agent.rentals import PARTIES

WITHIN = 60.0
SECONDS = 600


@dataclass
class Scene:
    """An owner's agent that answers whatever waits, and a renter's agent that has not begun."""

    market: Marketplace
    owner: Story
    renter: Story
    presence: Presence
    bargainer: Bargainer
    wish: Wish
    owner_home: Path
    renter_home: Path

    def agree(self) -> "asyncio.Task[SignedAgreement]":
        """Have the renter's agent bargain."""
        return asyncio.create_task(self.bargainer.agree(self.wish))

    def ledger(self, home: Path) -> MandateLedger:
        """Return a side's ledger, opened anew."""
        return MandateLedger(home / "mandates.sqlite")

    def approvals(self, home: Path) -> Approvals:
        """Return a side's questions, opened anew."""
        return Approvals(home / "mandates.sqlite")


@asynccontextmanager
async def a_scene(
    folder: Path, *, wishes: Wishes | None = None, hook: str | None = None
) -> AsyncIterator[Scene]:
    """Set both agents at one table; the owner's answers until the block ends."""
    market, clock = Marketplace(Broker(host="127.0.0.1", port=1), {}), SystemClock()
    owner_story, renter_story, driver = Story(), Story(), a_replay()
    homes = folder / "owner", folder / "renter"
    owner_files, renter_files = (home / "mandates.sqlite" for home in homes)
    facts = await facts_of(market)
    platform = PlatformClient("http://market", transport=market.http)
    presence = Presence(
        platform=platform,
        facts=facts,
        machine=driver.facts,
        wishes=wishes or Wishes(),
        owner=PARTIES.owner,
        agent=PARTIES.owner_agent,
        meter=PARTIES.meter,
        clock=clock,
        announce=owner_story,
    )
    negotiator = Negotiator(
        platform=platform,
        facts=facts,
        presence=presence,
        key=PARTIES.owner_agent,
        clock=clock,
        announce=owner_story,
        brief=OwnerBrief(
            wishes=OwnerWishes(least_price_percent=80),
            ledger=MandateLedger(owner_files),
            approvals=Approvals(owner_files),
            decisions=DecisionLog(homes[0] / "decisions", side="owner"),
            hook=hook,
        ),
    )
    bargainer = Bargainer(
        platform=platform,
        facts=facts,
        wallet=PARTIES.renter,
        session=PARTIES.renter_agent,
        clock=clock,
        announce=renter_story,
        brief=RenterBrief(
            ledger=MandateLedger(renter_files),
            approvals=Approvals(renter_files),
            decisions=DecisionLog(homes[1] / "decisions", side="renter"),
        ),
    )
    await presence.arrive()
    (listing,) = await platform.listings()

    async def answer() -> None:
        while True:
            for quote in (await platform.work(presence.device)).quotes:
                await negotiator.answer(quote)
            await asyncio.sleep(0.05)

    answering = asyncio.create_task(answer())
    try:
        yield Scene(
            market=market,
            owner=owner_story,
            renter=renter_story,
            presence=presence,
            bargainer=bargainer,
            wish=Wish(listing=listing, seconds=SECONDS, budget=None),
            owner_home=homes[0],
            renter_home=homes[1],
        )
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        await platform.close()


def run(work: Callable[[], Awaitable[None]]) -> None:
    """Run a test's work, for a minute at most."""

    async def bounded() -> None:
        async with asyncio.timeout(WITHIN):
            await work()

    asyncio.run(bounded())


class TestOwnersApproval:
    def test_is_asked_for_once_with_the_hook_and_then_signed(self, tmp_path: Path) -> None:
        async def work() -> None:
            asked = tmp_path / "asked.json"
            script = f"import sys; open({str(asked)!r}, 'a').write(sys.stdin.read() + chr(10))"
            hook = f'{sys.executable} -c "{script}"'
            async with a_scene(tmp_path, wishes=Wishes(approval_above="0.01"), hook=hook) as scene:
                deal = scene.agree()
                question = await scene.owner.until("approval_wanted")
                session = str(question["quote_id"])
                await asyncio.sleep(0.3)  # some more looks, which ask nobody again
                assert not scene.owner.named("agreement_signed")
                assert scene.approvals(scene.owner_home).answer(
                    session[:7], approved=True, now=SystemClock().now()
                )
                agreement = await deal
                assert len(scene.owner.named("approval_wanted")) == 1
                told = [json.loads(line) for line in asked.read_text().splitlines()]
                assert [each["rental_id"] for each in told] == [f"0x{agreement.rental_id.hex()}"]
                assert told[0]["all_in"] == str(agreement.agreement.all_in)
                assert not scene.owner.named("hook_failed")

                # What both promised stands in their ledgers, and why in their records.
                for home in (scene.owner_home, scene.renter_home):
                    held = scene.ledger(home).reservation(agreement.rental_id)
                    assert held is not None
                    assert (held.stage, held.amount) == (Stage.SIGNED, agreement.agreement.all_in)
                    (story,) = read_stories(home / "decisions", session)
                    assert story.signed is not None
                    assert story.signed.signed == f"0x{agreement.rental_id.hex()}"

        run(work)

    def test_comes_from_elsewhere_by_the_principal_s_signature_alone(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path, wishes=Wishes(approval_above="0.01")) as scene:
                deal = scene.agree()
                question = await scene.owner.until("approval_wanted")
                rental, at = bytes.fromhex(str(question["rental_id"])[2:]), 1
                domain = scene.presence.domain
                stranger = sign_approval(
                    Secp256k1Key.generate(), domain, rental_id=rental, granted=True, at=at
                )
                forged = stranger.model_copy(update={"principal": PARTIES.owner.identity})
                scene.market.approvals = [stranger, forged]
                await asyncio.sleep(0.3)
                assert not scene.owner.named("agreement_signed")
                scene.market.approvals.append(
                    sign_approval(PARTIES.owner, domain, rental_id=rental, granted=True, at=at)
                )
                assert (await deal).rental_id == rental

        run(work)

    def test_refused_signs_nothing(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path, wishes=Wishes(approval_above="0.01"), hook="/nowhere/hook") as scene:
                deal = scene.agree()
                question = await scene.owner.until("approval_wanted")
                assert await scene.owner.until("hook_failed")
                now = SystemClock().now()
                scene.approvals(scene.owner_home).answer(str(question["quote_id"]), approved=False, now=now)
                left = await scene.owner.until("quote_left")
                assert left["code"] == "not_approved"
                assert not scene.market.rentals
                ledger = scene.ledger(scene.owner_home)
                assert ledger.reserved(scene.presence.mandate, now) == 0
                deal.cancel()

        run(work)


class TestRentersApproval:
    def test_refused_is_no_deal(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                domain, clock = scene.presence.domain, SystemClock()
                mandate = a_mandate(principal_key=PARTIES.renter, domain=domain, approval_above=1)
                scene.ledger(scene.renter_home).grant(mandate, domain, clock.now())
                deal = scene.agree()
                question = await scene.renter.until("approval_wanted")
                approvals = scene.approvals(scene.renter_home)
                approvals.answer(str(question["quote_id"]), approved=False, now=clock.now())
                with pytest.raises(NoDeal, match="needs a person's word, and that was: refused"):
                    await deal
                assert scene.ledger(scene.renter_home).reserved(mandate, clock.now()) == 0

        run(work)

    def test_a_granted_mandate_bounds_every_rental(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                domain, clock = scene.presence.domain, SystemClock()
                mandate = a_mandate(principal_key=PARTIES.renter, domain=domain, per_rental=1)
                scene.ledger(scene.renter_home).grant(mandate, domain, clock.now())
                with pytest.raises(MandateExceeded, match="per_rental"):
                    await scene.agree()
                assert not scene.market.rentals

        run(work)


class TestStop:
    def test_holds_at_once_for_the_owner_s_agent(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                domain, now = scene.presence.domain, int(SystemClock().now().timestamp())
                word = sign_revocation(PARTIES.owner, domain, subject=b"", stands=True, at=now)
                scene.ledger(scene.owner_home).revoke(word, domain)
                deal = scene.agree()
                left = await scene.owner.until("quote_left")
                assert left["code"] == "revoked"
                assert not scene.owner.named("quoted")
                word = sign_revocation(PARTIES.owner, domain, subject=b"", stands=False, at=now + 1)
                scene.ledger(scene.owner_home).revoke(word, domain)
                await deal

        run(work)

    def test_said_to_the_marketplace_reaches_an_agent_elsewhere(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                now = int(SystemClock().now().timestamp())
                scene.market.revocations = [
                    sign_revocation(key, scene.presence.domain, subject=b"", stands=True, at=now)
                    for key in (Secp256k1Key.generate(), PARTIES.renter)
                ]
                with pytest.raises(NoDeal, match="its principal stopped every agent"):
                    await scene.agree()
                assert not scene.market.quotes

        run(work)

    def test_said_among_the_offers_is_heard_before_the_owner_s_agent_signs(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                deal = scene.agree()
                await scene.owner.until("quoted")
                scene.market.revocations = [a_stop(PARTIES.owner, scene)]
                left = await scene.owner.until("quote_left")
                assert left["code"] == "revoked"
                assert not scene.owner.named("agreement_signed")
                assert not scene.market.rentals
                deal.cancel()

        run(work)

    def test_said_among_the_offers_is_heard_before_the_renter_s_agent_signs(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                deal = scene.agree()
                await scene.owner.until("quoted")
                scene.market.revocations = [a_stop(PARTIES.renter, scene)]
                with pytest.raises(NoDeal, match="its principal stopped every agent"):
                    await deal
                assert not scene.renter.named("accepted")
                assert not scene.market.rentals

        run(work)

    def test_said_while_a_person_is_asked_stops_what_was_approved_meanwhile(self, tmp_path: Path) -> None:
        async def work() -> None:
            async with a_scene(tmp_path) as scene:
                domain, clock = scene.presence.domain, SystemClock()
                mandate = a_mandate(principal_key=PARTIES.renter, domain=domain, approval_above=1)
                scene.ledger(scene.renter_home).grant(mandate, domain, clock.now())
                deal = scene.agree()
                question = await scene.renter.until("approval_wanted")
                at = int(clock.now().timestamp())
                word = sign_revocation(PARTIES.renter, domain, subject=b"", stands=True, at=at)
                scene.market.revocations = [word]
                approvals = scene.approvals(scene.renter_home)
                approvals.answer(str(question["quote_id"]), approved=True, now=clock.now())
                with pytest.raises(NoDeal, match="its principal stopped every agent"):
                    await deal
                assert not scene.market.rentals
                assert scene.ledger(scene.renter_home).reserved(mandate, clock.now()) == 0

        run(work)


def a_stop(principal: Secp256k1Key, scene: Scene) -> SignedRevocation:
    """Return a principal's word that stops all its agents from now on."""
    now = int(SystemClock().now().timestamp())
    return sign_revocation(principal, scene.presence.domain, subject=b"", stands=True, at=now)


def a_question(*, answer_by: datetime, session: str = "5e", rental_id: bytes = bytes(32)) -> Wanted:
    """Return what a person is asked."""
    return Wanted(rental_id=rental_id, session=session, side="owner", all_in=1, words="", answer_by=answer_by)


class TestApprovals:
    @pytest.mark.parametrize("start", ["", "5"])
    def test_are_of_one_session_at_a_time(self, tmp_path: Path, start: str) -> None:
        approvals, now = Approvals(tmp_path / "file"), SystemClock().now()
        until = now + timedelta(seconds=9)
        waiting = [
            a_question(answer_by=until),
            a_question(answer_by=until, session="5f", rental_id=b"\1" * 32),
        ]
        for each in waiting:
            approvals.ask(each)
        with pytest.raises(ValueError, match="several sessions begin with"):
            approvals.answer(start, approved=True, now=now)
        assert approvals.waiting(now) == waiting

    def test_nobody_s_answer_in_time_is_a_no(self, tmp_path: Path) -> None:
        approvals, now = Approvals(tmp_path / "file"), SystemClock().now()
        wanted = a_question(answer_by=now + timedelta(seconds=9))
        assert approvals.ask(wanted)
        assert not approvals.ask(wanted)
        assert approvals.waiting(now) == [wanted]
        late = now + timedelta(seconds=10)
        assert approvals.state(wanted.rental_id, late) == "too late"
        assert approvals.answer("5e", approved=True, now=late) == []
        assert approvals.state(wanted.rental_id, late) == "too late"
        assert approvals.waiting(late) == []

    def test_the_first_answer_counts(self, tmp_path: Path) -> None:
        approvals, now = Approvals(tmp_path / "file"), SystemClock().now()
        wanted = a_question(answer_by=now + timedelta(seconds=9))
        approvals.ask(wanted)
        assert approvals.answer("00", approved=False, now=now) == [wanted]
        assert approvals.answer("00", approved=True, now=now) == []
        assert approvals.state(wanted.rental_id, now) == "refused"
