"""What the front answers, and that it takes nothing but the exact payment."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hireling.announce import silent
from hireling.platform_errors import PlatformNotFound, PlatformUnreachable
from hireling.platform_views import DeviceView, ListingView, PlatformView
from hireling.rental.listing import sign_listing
from hireling.rental.tariff import worst_case
from hireling.x402 import desk
from hireling.x402.desk import Desk
from hireling.x402.payments import Payment, PaymentBook
from hireling.x402.register import Register, Tools
from hireling.x402.server import Answer, Doors, Request
from hireling.x402.words import REQUIRED, RESPONSE
from tests.builders import ARBITER, DOMAIN, FEE_TO, OWNER_AGENT_KEY, TOKEN, a_listing
from tests.unit.agent.rentals import HandClock
from tests.unit.agent.x402 import payers
from tests.unit.agent.x402.payers import FRONT, PAYER, Payer

FEE, TX, RENTAL = 5_000, b"\x0c" * 32, b"\x0d" * 32
RIGHT_NOW = datetime.now(UTC)
DOCUMENT = a_listing(valid_until=int(RIGHT_NOW.timestamp()) + 3_600)
DEVICE = f"0x{DOCUMENT.device.hex()}"
PATH = f"/devices/{DEVICE}/rentals"
ALL_IN = worst_case(DOCUMENT.tariff, 60) + DOCUMENT.deposit + FEE
FACTS = PlatformView.model_validate(
    {
        "chain_id": DOMAIN.chain_id,
        "escrow": DOMAIN.escrow,
        "registry": bytes(20),
        "token": {"address": TOKEN, "symbol": "tUSD", "decimals": 6},
        "fee_bps": 250,
        "fee_to": FEE_TO,
        "arbiter": ARBITER,
        "bill_signer": bytes(20),
        "mqtt": {"host": "localhost", "port": 1883},
        "rpc_url": "http://node",
        "confirmations": 2,
        "faucet": True,
    }
)


def the_listing(**changes: Any) -> ListingView:
    """Return the machine's listing as the marketplace shows it."""
    signed = sign_listing(OWNER_AGENT_KEY, DOMAIN, DOCUMENT)
    view = ListingView(
        listing=signed.hash, document=DOCUMENT, signature=signed.signature, online=True, registered=True
    )
    return view.model_copy(update=changes)


@dataclass
class TheMarket:
    """The marketplace, the token and the front's wallet, as far as a desk asks them."""

    view: ListingView = field(default_factory=the_listing)
    fails: Exception | None = None
    held: int = 10**9
    used: bool = False
    address: bytes = FRONT.identity

    async def device(self, device: bytes) -> DeviceView:
        """Return the device, which lists the listing."""
        if self.fails is not None:
            raise self.fails
        return DeviceView(device=device, owner=bytes(20), registered=True, listing=self.view.listing)

    async def listing(self, listing: str) -> ListingView:
        """Return the listing."""
        return self.view

    async def is_used(self, authorizer: bytes, nonce: bytes) -> bool:
        """Return whether the payer's nonce is used."""
        return self.used

    async def balance(self, holder: bytes) -> int:
        """Return what the payer holds."""
        return self.held

    async def height(self) -> int:
        """Return the newest block that counts."""
        return 50


@dataclass
class TheCarrier:
    """Keeps what is taken as it became at once."""

    register: Register
    becomes: dict[str, Any]
    stopped: list[str] = field(default_factory=list)

    def begin(self, payment: Payment) -> Payment:
        """Keep the payment, and then what became of it."""
        self.register.write(payment)
        self.register.write(payment.model_copy(update=self.becomes))
        return payment

    def stop_machine(self, payment: Payment) -> None:
        """Note that the machine was stopped."""
        self.stopped.append(payment.id)


RENTED = {"stage": "paid", "settlement": TX, "rental_id": RENTAL}


class Scene:
    """A front's doors."""

    def __init__(self, folder: Path, market: TheMarket | None = None, **becomes: Any) -> None:
        self.market = market or TheMarket()
        self.folder = folder / "payments"
        clock = HandClock(at=datetime.now(UTC))
        tools = Tools(
            platform=cast(Any, self.market),
            facts=FACTS,
            wallet=cast(Any, self.market),
            wallet_key=FRONT,
            keys=cast(Any, None),
            token=cast(Any, self.market),
            escrow=cast(Any, None),
            book=PaymentBook(self.folder),
            bills=folder,
            brief=cast(Any, None),
            clock=clock,
            announce=silent,
        )
        self.register = Register(tools.book, silent)
        self.carrier = TheCarrier(self.register, becomes or RENTED)
        its_desk = Desk(tools, self.register, cast(Any, self.carrier), domain=payers.DOMAIN, fee=FEE)
        self.doors = Doors(
            its_desk,
            self.register,
            cast(Any, self.carrier),
            network="eip155:31337",
            public_url="https://front",
        )
        self.payer = Payer()

    def ask(
        self, path: str = PATH, *, method: str = "POST", body: Any = None, **headers: str
    ) -> Awaitable[Answer]:
        """Ask the front; underscores stand for hyphens."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        content = b"" if body is None else json.dumps(body).encode()
        return self.doors.answer(Request(method, path, said, content))

    async def pay(self, *, body: Any = None, **changes: Any) -> Answer:
        """Ask what is required, have the official client pay that with these changes, and ask again."""
        required = dict((await self.ask(body=body)).body)
        required["accepts"] = [{**required["accepts"][0], **changes}]
        header = self.payer.header(self.payer.pays(required))
        return await self.ask(body=body, payment_signature=header)

    @property
    def taken(self) -> list[Payment]:
        """Return every payment on the disk."""
        return list(PaymentBook(self.folder).all())


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Tell a story."""

    async def told() -> None:
        await story()

    asyncio.run(told())


def header_of(answer: Answer, name: str) -> dict[str, Any]:
    """Return what a header says."""
    found: dict[str, Any] = json.loads(base64.b64decode(answer.headers[name]))
    return found


class TestWithoutAPayment:
    def test_asks_for_the_worst_case_the_deposit_and_the_fee(self, tmp_path: Path) -> None:
        async def story() -> None:
            answer = await Scene(tmp_path).ask(body={"seconds": 60})
            assert answer.status == 402
            (way,) = answer.body["accepts"]
            assert (way["amount"], way["payTo"]) == (str(ALL_IN), f"0x{FRONT.identity.hex()}")
            assert (way["asset"], way["network"]) == (f"0x{TOKEN.hex()}", "eip155:31337")
            assert way["extra"]["name"] == payers.DOMAIN.name
            assert answer.body["resource"]["url"] == f"https://front{PATH}"
            assert header_of(answer, REQUIRED) == answer.body

        run(story)

    @pytest.mark.parametrize(
        ("body", "status"),
        [({"seconds": 0}, 422), ({"seconds": "60"}, 422), ({"more": 1}, 422), ({"seconds": 86_401}, 422)],
    )
    def test_names_what_is_wrong_with_a_wish(self, tmp_path: Path, body: Any, status: int) -> None:
        async def story() -> None:
            assert (await Scene(tmp_path).ask(body=body)).status == status

        run(story)

    @pytest.mark.parametrize(
        ("market", "status"),
        [
            (TheMarket(view=the_listing(online=False)), 409),
            (TheMarket(view=the_listing(registered=False)), 409),
            (TheMarket(view=the_listing(signature=bytes(65))), 409),
            (TheMarket(view=the_listing(listing=bytes(32))), 409),
            (TheMarket(fails=PlatformNotFound(status=404, code="device_not_found", detail="none")), 404),
            (TheMarket(fails=PlatformUnreachable("gone")), 503),
        ],
        ids=["offline", "unregistered", "forged", "swapped", "unknown", "unreachable"],
    )
    def test_asks_for_nothing_where_there_is_nothing(
        self, tmp_path: Path, market: TheMarket, status: int
    ) -> None:
        async def story() -> None:
            assert (await Scene(tmp_path, market).ask()).status == status

        run(story)

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [("GET", PATH, 404), ("POST", "/", 404), ("GET", f"/rentals/0x{'0' * 64}", 404)],
    )
    def test_knows_no_other_door(self, tmp_path: Path, method: str, path: str, status: int) -> None:
        async def story() -> None:
            assert (await Scene(tmp_path).ask(path, method=method)).status == status

        run(story)


class TestPaying:
    def test_the_exact_payment_is_taken_and_answered_with_the_rental(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            answer = await scene.pay(body={"seconds": 60})
            assert (answer.status, answer.body["rental_id"]) == (201, f"0x{RENTAL.hex()}")
            told = header_of(answer, RESPONSE)
            assert (told["success"], told["transaction"], told["amount"]) == (
                True,
                f"0x{TX.hex()}",
                str(ALL_IN),
            )
            (payment,) = scene.taken
            assert (payment.seconds, payment.fee, payment.seen_from) == (60, FEE, 50)
            assert payment.authorization.sender == PAYER.identity

        run(story)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"amount": str(ALL_IN - 1)}, "invalid_payment_requirements"),
            ({"payTo": f"0x{PAYER.identity.hex()}"}, "invalid_payment_requirements"),
            ({"maxTimeoutSeconds": 10}, "invalid_payment_requirements"),
            ({"extra": {"name": "USDC", "version": "2"}}, "invalid_payment_requirements"),
        ],
        ids=["amount", "recipient", "time", "token"],
    )
    def test_nothing_else_is_taken(self, tmp_path: Path, changes: dict[str, Any], code: str) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            answer = await scene.pay(body={"seconds": 60}, **changes)
            assert (answer.status, answer.body["error"].partition(":")[0]) == (402, code)
            assert header_of(answer, REQUIRED)["accepts"][0]["amount"] == str(ALL_IN)
            assert scene.taken == []

        run(story)

    @pytest.mark.parametrize("lie", ["value", "recipient"])
    def test_what_is_said_counts_for_nothing_beside_what_is_signed(self, tmp_path: Path, lie: str) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            asked = dict((await scene.ask()).body)
            other = {"value": {"amount": "1"}, "recipient": {"payTo": f"0x{PAYER.identity.hex()}"}}[lie]
            signed = scene.payer.pays({**asked, "accepts": [{**asked["accepts"][0], **other}]})
            lying = signed.model_copy(update={"accepted": scene.payer.pays(asked).accepted})
            answer = await scene.ask(payment_signature=scene.payer.header(lying))
            assert answer.status == 402
            assert f"{lie}_mismatch" in answer.body["error"]
            assert scene.taken == []

        run(story)

    @pytest.mark.parametrize(
        ("market", "code"),
        [
            (TheMarket(held=1), "insufficient_funds"),
            (TheMarket(used=True), "invalid_exact_evm_nonce_already_used"),
        ],
        ids=["poor", "used"],
    )
    def test_what_the_chain_would_not_carry_out_is_not_taken(
        self, tmp_path: Path, market: TheMarket, code: str
    ) -> None:
        async def story() -> None:
            scene = Scene(tmp_path, market)
            answer = await scene.pay()
            assert (answer.status, answer.body["error"].partition(":")[0]) == (402, code)
            assert scene.taken == []

        run(story)

    def test_what_is_no_payment_is_a_bad_request(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            answer = await scene.ask(payment_signature="no payment")
            assert (answer.status, answer.body["code"]) == (400, "invalid_payload")
            assert scene.taken == []

        run(story)

    @pytest.mark.parametrize(
        ("becomes", "status", "success"),
        [
            ({"given_up": True, "reason": "reverts"}, 402, False),
            ({"stage": "void", "reason": "lapsed"}, 402, False),
            ({"stage": "over", "settlement": TX, "reason": "no deal"}, 409, True),
        ],
        ids=["refused", "void", "no rental"],
    )
    def test_says_what_became_of_it(
        self, tmp_path: Path, becomes: dict[str, Any], status: int, *, success: bool
    ) -> None:
        async def story() -> None:
            answer = await Scene(tmp_path, **becomes).pay()
            assert (answer.status, answer.body["reason"]) == (status, becomes["reason"])
            assert header_of(answer, RESPONSE)["success"] is success

        run(story)


class TestAgain:
    def test_the_same_payment_is_the_same_rental_without_the_token(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            header = scene.payer.header(scene.payer.pays(dict((await scene.ask()).body)))
            first, again = [await scene.ask(payment_signature=header) for _ in range(2)]
            assert first.body["payment"] == again.body["payment"]
            assert "stop_token" in first.body
            assert "stop_token" not in again.body
            assert len(scene.taken) == 1
            # Whatever became of the machine meanwhile.
            scene.market.fails = PlatformUnreachable("gone")
            assert (await scene.ask(payment_signature=header)).status == 201

        run(story)

    def test_another_payment_under_one_nonce_is_refused(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            payment = scene.payer.pays(dict((await scene.ask()).body))
            await scene.ask(payment_signature=scene.payer.header(payment))
            inner = payment.payload["authorization"]
            forged = payment.model_copy(
                update={"payload": {**payment.payload, "authorization": {**inner, "value": "1"}}}
            )
            answer = await scene.ask(payment_signature=scene.payer.header(forged))
            assert (answer.status, answer.body["code"]) == (400, "invalid_exact_evm_nonce_already_used")

        run(story)


class TestManyPayments:
    def test_one_payer_has_so_many_unfinished_ones(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def story() -> None:
            monkeypatch.setattr(desk, "MOST_OF_ONE_PAYER", 2)
            scene = Scene(tmp_path)
            assert [(await scene.pay()).status for _ in range(3)] == [201, 201, 402]
            refused = await scene.pay()
            assert refused.body["error"].startswith("too_many_payments")
            assert len(scene.taken) == 2

        run(story)

    def test_and_everybody_together(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> None:
            monkeypatch.setattr(desk, "MOST_UNFINISHED", 1)
            scene = Scene(tmp_path)
            assert [(await scene.pay()).status for _ in range(2)] == [201, 503]
            assert len(scene.taken) == 1

        run(story)

    def test_what_is_finished_does_not_count(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> None:
            monkeypatch.setattr(desk, "MOST_OF_ONE_PAYER", 1)
            scene = Scene(tmp_path, stage="void", reason="lapsed")
            for _ in range(2):
                assert "too_many_payments" not in (await scene.pay()).body.get("error", "")
            assert len(scene.taken) == 2

        run(story)

    def test_what_never_came_is_forgotten_once_it_lapsed(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path, stage="void", reason="lapsed")
            await scene.pay()
            (void,) = scene.taken
            lapses = void.authorization.valid_before
            scene.register.forget_void(lapsed_by=lapses - 1)
            assert scene.register.find(void.id) is not None
            scene.register.forget_void(lapsed_by=lapses)
            assert scene.register.find(void.id) is None
            assert scene.taken == []

        run(story)

    def test_two_wait_for_news_of_one_payment_and_others_are_told_at_once(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path, stage="taken")
            header = scene.payer.header(scene.payer.pays(dict((await scene.ask()).body)))
            asking = [asyncio.ensure_future(scene.ask(payment_signature=header)) for _ in range(2)]
            await asyncio.sleep(0.05)
            assert (await asyncio.wait_for(scene.ask(payment_signature=header), 1)).status == 202
            assert not any(each.done() for each in asking)
            (taken,) = scene.taken
            scene.register.write(taken.model_copy(update=RENTED))
            assert [(await each).status for each in asking] == [201, 201]

        run(story)


class TestStopping:
    def test_needs_the_token_that_was_shown_once(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            paid = (await scene.pay()).body
            stop = f"/rentals/{paid['payment']}/stop"
            assert (await scene.ask(stop)).status == 403
            assert (await scene.ask(stop, authorization="Bearer guessed")).status == 403
            assert scene.carrier.stopped == []
            right = await scene.ask(stop, authorization=f"Bearer {paid['stop_token']}")
            assert (right.status, scene.carrier.stopped) == (202, [paid["payment"]])
            assert (await scene.ask(stop, method="GET")).status == 405

        run(story)

    def test_or_the_one_that_the_payer_named(self, tmp_path: Path) -> None:
        async def story() -> None:
            scene = Scene(tmp_path)
            named = {"stop_hash": f"0x{hashlib.sha256(b'mine').hexdigest()}"}
            paid = (await scene.pay(body=named)).body
            assert "stop_token" not in paid
            stop = f"/rentals/{paid['payment']}/stop"
            assert (await scene.ask(stop, authorization="Bearer mine")).status == 202

        run(story)
