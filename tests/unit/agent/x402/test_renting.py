"""One payment, one rental at most, and its cost by the bill or the chain alone."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hireling.announce import silent
from hireling.platform_errors import PlatformRefused
from hireling.rental.bill_document import make_bill, sign_bill
from hireling.rental.documents import document_hash
from hireling.rental.errors import CloseRefused
from hireling.rental.escrow_math import Slot, Status
from hireling.renter.bargainer import NoDeal
from hireling.renter.book import Page, Stage
from hireling.renter.funding import FundingFailed
from hireling.renter.settling import BillRefused
from hireling.x402 import renting
from hireling.x402.payments import Payment, PaymentBook
from hireling.x402.register import Register, Tools
from hireling.x402.renting import RENT_WITHIN, Renting
from tests.builders import a_listing
from tests.unit.agent.rentals import HandClock, an_offer, signed_by_both
from tests.unit.agent.x402.payers import FRONT
from tests.unit.agent.x402.test_payments import a_payment

AGREED = signed_by_both(an_offer())
DOCUMENT = a_listing()
TAKEN = PlatformRefused(status=409, code="device_taken", detail="the machine is taken")
REFUSED = PlatformRefused(status=403, code="no", detail="a rule says no")
ASKED_TOO_LATE = AGREED.agreement.rules.fund_by + 1


def a_slot(status: int, paid: int = 0) -> Slot:
    """Return what the escrow holds of the rental."""
    return Slot(paid=paid, tail=0, claim_by=0, funded_bps=10_000, status=Status(status))


@dataclass
class Scene:
    """Renting, with an agent that follows a script and a chain that stands still."""

    folder: Path
    script: list[Exception | None]
    slot: Slot = field(default_factory=lambda: a_slot(0))
    chain_time: int = 0
    calls: list[str] = field(default_factory=list)
    clock: HandClock = field(default_factory=HandClock)
    bargain: Callable[[], Awaitable[None]] | None = None
    use_seconds: float = 0

    def __post_init__(self) -> None:
        scene = self
        self.book = PaymentBook(self.folder / "payments")

        class Agent:
            """A renter's agent."""

            def __init__(self, **tools: Any) -> None:
                self._tools = tools

            async def rent(self, listing: Any, **wish: Any) -> None:
                """Rent."""
                scene.calls.append("rent")
                if scene.bargain is not None:
                    await scene.bargain()
                if scene.use_seconds:
                    self._tools["announce"]("agreed")
                    await asyncio.sleep(scene.use_seconds)
                self._next(None)

            async def carry(self, page: Page) -> None:
                """Go on."""
                scene.calls.append(f"carry {page.stage}")
                self._next(page)

            def _next(self, page: Page | None) -> None:
                outcome = scene.script.pop(0)
                if outcome is not None:
                    raise outcome
                ended = page or Page(agreement=AGREED, session_key="s", stage="over")
                self._tools["book"].write(ended.model_copy(update={"stage": "done"}))

        self.agent = Agent

    def page(self, payment: Payment, stage: Stage) -> None:
        """Have an earlier run left a rental at this stage."""
        self.book.rentals(payment).write(Page(agreement=AGREED, session_key="s", stage=stage))

    def bill(self, *, total: int, kept: int = 0) -> None:
        """Have an earlier run kept a bill over so much use, with so much of the deposit not returned."""
        bill = make_bill(
            rental=AGREED,
            readings=[],
            total=total,
            deposit_returned=AGREED.agreement.rules.deposit - kept,
            transactions=[],
            issued_at=self.clock.now(),
        )
        path = self.folder / f"0x{AGREED.rental_id.hex()}.json"
        path.write_text(sign_bill(FRONT, bill).model_dump_json())

    def rent(self, payment: Payment, *, until: Callable[[Payment], bool] | None = None) -> Payment:
        """Take steps until this holds, or one step; return the payment as it lies on the disk."""

        async def steps() -> Payment:
            async def listing(_: str) -> Any:
                return SimpleNamespace(document=DOCUMENT)

            async def slot(*_: Any, **__: Any) -> Slot:
                return self.slot

            async def height() -> int:
                return 77

            async def time() -> int:
                return self.chain_time

            tools = Tools(
                platform=cast(Any, SimpleNamespace(listing=listing)),
                facts=cast(Any, None),
                wallet=cast(Any, None),
                wallet_key=FRONT,
                keys=cast(Any, None),
                token=cast(Any, SimpleNamespace(height=height, time=time)),
                escrow=cast(Any, SimpleNamespace(slot=slot)),
                book=self.book,
                bills=self.folder,
                brief=cast(Any, None),
                clock=self.clock,
                announce=silent,
            )
            register = Register(self.book, silent)
            desk = Renting(tools, register)
            current = await desk.rent(register.write(payment))
            while until is not None and not until(current):
                current = await desk.rent(current)
            return current

        after = asyncio.run(steps())
        assert list(self.book.all()) == [after]
        return after


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return a scene without a script."""
    made = Scene(tmp_path, [])
    monkeypatch.setattr(renting, "RenterAgent", made.agent)
    return made


def is_over(payment: Payment) -> bool:
    """Return whether the rental is."""
    return payment.stage == "over"


def paid(scene: Scene) -> Payment:
    """Return a payment that has just come in."""
    at = int(scene.clock.now().timestamp())
    return a_payment(listing=document_hash(DOCUMENT), paid_at=at)


def all_back(payment: Payment) -> bool:
    """Return whether the whole payment goes back."""
    return (payment.stage, payment.spent, payment.fee, payment.refund) == ("over", 0, 0, 1_000)


class TestWithoutARental:
    @pytest.mark.parametrize("why", [NoDeal("too dear"), REFUSED, FundingFailed("an empty purse")])
    def test_everything_goes_back(self, scene: Scene, why: Exception) -> None:
        scene.script = [why]
        over = scene.rent(paid(scene))
        assert all_back(over)
        assert over.reason == str(why)
        assert over.seen_from == 77

    def test_a_machine_that_is_taken_is_waited_for(self, scene: Scene) -> None:
        scene.script = [TAKEN, TAKEN, None]
        scene.slot = a_slot(Status.DONE)
        assert scene.rent(paid(scene), until=is_over).reason == "the rental was cancelled unused"
        assert scene.calls == ["rent"] * 3

    def test_but_not_for_ever(self, scene: Scene) -> None:
        scene.script = [TAKEN] * 200
        began = scene.clock.now()
        assert all_back(scene.rent(paid(scene), until=is_over))
        assert RENT_WITHIN <= scene.clock.now() - began <= RENT_WITHIN + timedelta(seconds=5)

    def test_another_listing_than_was_paid_for_is_not_rented(self, scene: Scene) -> None:
        other = paid(scene).model_copy(update={"listing": bytes(32)})
        assert all_back(scene.rent(other))
        assert scene.calls == []

    def test_others_bargaining_takes_nothing_of_its_time(self, scene: Scene) -> None:
        scene.script = [TAKEN, None]
        scene.slot = a_slot(Status.DONE)
        long_ago = int(scene.clock.now().timestamp()) - 3_600
        scene.rent(paid(scene).model_copy(update={"paid_at": long_ago}), until=is_over)
        assert scene.calls == ["rent"] * 2

    def test_a_machine_that_bargains_for_ever_is_left(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def forever() -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(renting, "BARGAIN_WITHIN_SECONDS", 0.01)
        scene.bargain = forever
        over = scene.rent(paid(scene))
        assert all_back(over)
        assert str(over.reason).startswith("no agreement within")

    def test_a_rental_that_is_agreed_takes_its_time(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(renting, "BARGAIN_WITHIN_SECONDS", 0.2)
        scene.script, scene.slot = [None], a_slot(Status.DONE, paid=40)
        scene.use_seconds = 0.5
        assert scene.rent(paid(scene)).spent == 40


class TestAfterACrash:
    @pytest.mark.parametrize("stage", ["agreed", "funded", "running", "over"])
    def test_goes_on_with_the_rental_there_is(self, scene: Scene, stage: Stage) -> None:
        scene.script = [None]
        scene.page(paid(scene), stage)
        after = scene.rent(paid(scene))
        assert scene.calls == [f"carry {stage}"]
        # An agreement is no rental that a payer may count on before the escrow holds its money.
        assert after.rental_id == (None if stage == "agreed" else AGREED.rental_id)


class TestTheEnd:
    """The marketplace's word ends nothing: the owner can claim while the escrow is open."""

    @pytest.mark.parametrize("stage", ["funded", "done"], ids=["just now", "before a crash"])
    def test_nothing_goes_back_of_a_cancelled_rental_while_the_escrow_is_open(
        self, scene: Scene, stage: Stage
    ) -> None:
        scene.script = [None]
        scene.slot, scene.chain_time = a_slot(Status.OPEN), ASKED_TOO_LATE
        scene.page(paid(scene), stage)
        assert scene.rent(paid(scene)).stage == "paid"

    @pytest.mark.parametrize("stage", ["funded", "done"], ids=["just now", "before a crash"])
    def test_a_rental_without_a_bill_costs_what_the_owner_claimed(self, scene: Scene, stage: Stage) -> None:
        scene.script = [None]
        scene.slot = a_slot(Status.DONE, paid=40)
        scene.page(paid(scene), stage)
        over = scene.rent(paid(scene))
        assert (over.spent, over.refund, over.reason) == (40, 953, "the rental ended without a bill")

    def test_a_cancelled_rental_of_which_nothing_was_claimed_cost_nothing(self, scene: Scene) -> None:
        scene.slot = a_slot(Status.DONE)
        scene.page(paid(scene), "done")
        assert all_back(scene.rent(paid(scene)))
        assert scene.calls == []

    def test_a_bill_over_what_the_escrow_paid_counts_with_what_was_kept_of_the_deposit(
        self, scene: Scene
    ) -> None:
        scene.slot = a_slot(Status.DONE, paid=40)
        scene.page(paid(scene), "done")
        scene.bill(total=40, kept=5)
        over = scene.rent(paid(scene))
        assert (over.spent, over.refund, over.reason) == (45, 948, None)

    @pytest.mark.parametrize("total", [0, 39, 41])
    def test_a_bill_over_another_total_does_not_count(self, scene: Scene, total: int) -> None:
        scene.slot = a_slot(Status.DONE, paid=40)
        scene.page(paid(scene), "done")
        scene.bill(total=total)
        over = scene.rent(paid(scene))
        assert (over.spent, over.refund) == (40, 953)
        assert over.reason == f"the bill says {total}, the escrow paid 40"

    @pytest.mark.parametrize(
        "trouble",
        [NoDeal("odd"), BillRefused("forged"), CloseRefused("beyond", "beyond")],
        ids=["odd", "bill", "close"],
    )
    def test_trouble_with_the_marketplace_ends_with_the_escrow(
        self, scene: Scene, trouble: Exception
    ) -> None:
        scene.script = [trouble] * 2
        scene.page(paid(scene), "running")
        scene.slot = a_slot(Status.OPEN)
        assert scene.rent(paid(scene)).stage == "paid"
        scene.slot = a_slot(Status.DONE, paid=40)
        over = scene.rent(paid(scene))
        assert (over.spent, over.refund, over.reason) == (40, 953, str(trouble))


class TestFailedFunding:
    @pytest.mark.parametrize(
        ("slot", "chain_time"),
        [(a_slot(0), ASKED_TOO_LATE - 1), (a_slot(Status.OPEN), ASKED_TOO_LATE)],
        ids=["may still open", "is open"],
    )
    def test_nothing_goes_back_while_money_may_be_locked(
        self, scene: Scene, slot: Slot, chain_time: int
    ) -> None:
        scene.script = [FundingFailed("not in time")]
        scene.slot, scene.chain_time = slot, chain_time
        scene.page(paid(scene), "agreed")
        assert scene.rent(paid(scene)).stage == "paid"

    def test_all_goes_back_once_it_can_never_open(self, scene: Scene) -> None:
        scene.script = [FundingFailed("not in time")]
        scene.chain_time = ASKED_TOO_LATE
        scene.page(paid(scene), "agreed")
        assert all_back(scene.rent(paid(scene)))

    def test_costs_what_the_chain_says_where_it_opened_and_is_done(self, scene: Scene) -> None:
        scene.script = [FundingFailed("the rental is cancelled")]
        scene.slot = a_slot(Status.DONE, paid=40)
        scene.page(paid(scene), "agreed")
        over = scene.rent(paid(scene))
        assert (over.spent, over.fee, over.refund) == (40, 7, 953)
