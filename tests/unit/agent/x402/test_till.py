"""Money in and out, whatever the relay says: done, refused and unknown are three things."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from hireling.announce import silent
from hireling.platform_errors import PlatformRefused, PlatformUnreachable
from hireling.x402.payments import Payment, PaymentBook
from hireling.x402.register import Register, Stuck, Tools
from hireling.x402.till import Till
from hireling.x402.token import CarriedOut, NeverAgain, SearchedUpTo, Transfer
from tests.unit.agent.rentals import HandClock
from tests.unit.agent.x402.payers import FRONT, PAYER
from tests.unit.agent.x402.test_payments import a_payment

TX = b"\x0c" * 32
REFUSAL = PlatformRefused(status=403, code="chain_refuses", detail="the token reverts")


@dataclass
class TheChain:
    """What the token's contract says."""

    became: CarriedOut | NeverAgain | SearchedUpTo | None = None
    used: bool = False
    held: int = 10**9
    looked_for: list[tuple[Transfer, int, int | None]] = field(default_factory=list)

    async def outcome(
        self, transfer: Transfer, *, since: int, valid_before: int | None
    ) -> CarriedOut | NeverAgain | SearchedUpTo | None:
        """Return what became of an authorisation."""
        self.looked_for.append((transfer, since, valid_before))
        return self.became

    async def is_used(self, authorizer: bytes, nonce: bytes) -> bool:
        """Return whether a nonce is used."""
        return self.used

    async def balance(self, holder: bytes) -> int:
        """Return what the front holds."""
        return self.held

    async def height(self) -> int:
        """Return the newest block that counts."""
        return 50


@dataclass
class TheRelay:
    """The marketplace, as far as it relays; and the front's wallet, which signs."""

    says: Exception | None = None
    relayed: list[Mapping[str, Any]] = field(default_factory=list)
    address: bytes = FRONT.identity

    async def withdraw(self, authorization: Mapping[str, Any]) -> Mapping[str, Any]:
        """Relay a transfer."""
        self.relayed.append(authorization)
        if self.says is not None:
            raise self.says
        return {}

    async def transfer(self, **wanted: Any) -> Mapping[str, Any]:
        """Sign a transfer."""
        return wanted


@dataclass
class Scene:
    """A till between a chain and a relay."""

    folder: Path
    chain: TheChain = field(default_factory=TheChain)
    relay: TheRelay = field(default_factory=TheRelay)

    def __post_init__(self) -> None:
        tools = Tools(
            platform=cast(Any, self.relay),
            facts=cast(Any, None),
            wallet=cast(Any, self.relay),
            wallet_key=FRONT,
            keys=cast(Any, None),
            token=cast(Any, self.chain),
            escrow=cast(Any, None),
            book=PaymentBook(self.folder),
            bills=self.folder,
            brief=cast(Any, None),
            clock=HandClock(),
            announce=silent,
        )
        self.clock = tools.clock
        self.register = Register(tools.book, silent)
        self.till = Till(tools, self.register)

    def settle(self, payment: Payment, *, times: int = 1) -> Payment:
        """Look so many times what became of a payment; return it as it lies on the disk."""
        return self._run(payment, self.till.settle, times)

    def send_back(self, payment: Payment, *, times: int = 1) -> Payment:
        """Look so many times what became of a refund; return the payment as it lies on the disk."""
        return self._run(payment, self.till.send_back, times)

    def _run(self, payment: Payment, step: Any, times: int) -> Payment:
        async def steps() -> Payment:
            current = self.register.write(payment)
            for _ in range(times):
                current = await step(current)
            return current

        after = asyncio.run(steps())
        assert list(PaymentBook(self.folder).all()) == [after]
        return after


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Return a till."""
    return Scene(tmp_path / "payments")


TAKEN = a_payment(stage="taken")
OVER = a_payment().over(spent=300, reason=None, seen_from=40)


class TestSettle:
    def test_is_paid_once_the_chain_holds_it(self, scene: Scene) -> None:
        scene.chain.became = CarriedOut(TX)
        paid = scene.settle(TAKEN)
        assert (paid.stage, paid.settlement, scene.relay.relayed) == ("paid", TX, [])

    def test_searches_for_the_authorised_transfer_and_no_other(self, scene: Scene) -> None:
        scene.settle(TAKEN)
        signed = TAKEN.authorization
        wanted = Transfer(
            sender=PAYER.identity, recipient=FRONT.identity, value=signed.value, nonce=signed.nonce
        )
        assert scene.chain.looked_for == [(wanted, TAKEN.seen_from, signed.valid_before)]

    def test_has_it_relayed_as_it_was_signed_and_not_at_every_look(self, scene: Scene) -> None:
        assert scene.settle(TAKEN, times=5).stage == "taken"
        assert scene.relay.relayed == [TAKEN.authorization.model_dump(mode="json")]
        scene.settle(TAKEN, times=50)
        assert len(scene.relay.relayed) > 1

    def test_no_answer_is_no_refusal(self, scene: Scene) -> None:
        scene.relay.says = PlatformUnreachable("gone")
        with pytest.raises(PlatformUnreachable):
            scene.settle(TAKEN)
        (kept,) = PaymentBook(scene.folder).all()
        assert not kept.given_up

    def test_a_refusal_is_told_and_not_asked_for_again(self, scene: Scene) -> None:
        scene.relay.says = REFUSAL
        refused = scene.settle(TAKEN, times=60)
        assert (refused.stage, refused.given_up, len(scene.relay.relayed)) == ("taken", True, 1)
        assert "the token reverts" in str(refused.reason)

    def test_what_was_given_up_is_looked_for_once_a_minute(self, scene: Scene) -> None:
        began = scene.clock.now()
        scene.settle(TAKEN.model_copy(update={"given_up": True}), times=5)
        assert scene.clock.now() - began == timedelta(minutes=5)

    def test_searches_on_from_where_it_was(self, scene: Scene) -> None:
        scene.chain.became = SearchedUpTo(2_001)
        assert scene.settle(TAKEN).seen_from == 2_001
        assert scene.send_back(OVER).seen_from == 2_001
        assert scene.relay.relayed == []

    @pytest.mark.parametrize("busy", [True, False], ids=["too many requests", "carried out by another"])
    def test_what_may_still_come_true_is_not_given_up(self, scene: Scene, *, busy: bool) -> None:
        scene.chain.used = not busy
        scene.relay.says = PlatformRefused(status=429, code="x", detail="x") if busy else REFUSAL
        assert not scene.settle(TAKEN).given_up

    def test_what_comes_after_it_was_given_up_goes_back_whole(self, scene: Scene) -> None:
        scene.chain.became = CarriedOut(TX)
        over = scene.settle(TAKEN.model_copy(update={"given_up": True, "reason": "refused"}))
        assert (over.stage, over.spent, over.fee, over.refund) == ("over", 0, 0, 1_000)
        assert (over.seen_from, over.reason) == (50, "refused")

    def test_is_void_once_it_can_never_be_carried_out(self, scene: Scene) -> None:
        scene.chain.became = NeverAgain("it lapsed unused")
        void = scene.settle(TAKEN)
        assert (void.stage, void.reason, void.is_finished) == ("void", "it lapsed unused", True)


class TestSendBack:
    def test_sends_the_rest_under_the_nonce_that_was_kept(self, scene: Scene) -> None:
        scene.send_back(OVER)
        (signed,) = scene.relay.relayed
        assert (signed["recipient"], signed["value"], signed["nonce"]) == (
            PAYER.identity,
            693,
            OVER.refund_nonce,
        )

    def test_is_done_once_the_chain_holds_it(self, scene: Scene) -> None:
        scene.chain.became = CarriedOut(TX)
        done = scene.send_back(OVER)
        assert (done.stage, done.refund_transaction, scene.relay.relayed) == ("done", TX, [])

    def test_searches_for_its_own_transfer_which_never_lapses(self, scene: Scene) -> None:
        scene.send_back(OVER)
        wanted = Transfer(sender=FRONT.identity, recipient=PAYER.identity, value=693, nonce=OVER.refund_nonce)
        assert scene.chain.looked_for == [(wanted, 40, None)]

    def test_does_not_ask_again_for_what_is_carried_out_but_not_deep(self, scene: Scene) -> None:
        scene.chain.used = True
        assert scene.send_back(OVER, times=3).stage == "over"
        assert scene.relay.relayed == []

    def test_waits_until_the_wallet_holds_it(self, scene: Scene) -> None:
        scene.chain.held = 692
        assert scene.send_back(OVER, times=3).stage == "over"
        assert scene.relay.relayed == []

    def test_is_done_at_once_where_nothing_is_left(self, scene: Scene) -> None:
        assert scene.send_back(a_payment().over(spent=993, reason=None, seen_from=1)).stage == "done"
        assert scene.chain.looked_for == []

    def test_calls_the_operator_where_its_nonce_paid_for_something_else(self, scene: Scene) -> None:
        scene.chain.became = NeverAgain("cancelled")
        with pytest.raises(Stuck):
            scene.send_back(OVER)
