"""Somebody vanishes for good in the middle of a rental, and the money comes back by the deadlines.

The deadlines lie hours ahead: the chain's clock, by which everything on the marketplace goes, is moved there.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hireling.device.log import RentalLog
from hireling.rental.agreement import SignedAgreement
from hireling.rental.bill import SignedBill, verify_bill
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.money import fee_of
from hireling.rental.reading import SignedReading
from hireling.rental.states import TERMINAL, State
from hireling.renter.book import Page, RenterBook
from services.embedded.marketplace import Marketplace
from services.settlement.escrow.chain import Chain
from tests.chain import DevChain
from tests.chain_rentals import STRANGER_KEY, door, send
from tests.e2e.deal import rented
from tests.e2e.journey import RENTAL_WITHIN, Sides, Trace, a_trace
from tests.e2e.parties import holdings
from tests.e2e.programs import Program

pytestmark = [pytest.mark.journey, pytest.mark.timeout(600)]

SPEED = 20
# A block of 3 s is used up soon after nobody acknowledges any more, and the machine then waits 2 s. A flat
# fee, which a block covers too, would make it longer.
SHORT = ["--flat", "0", "--ceiling-seconds", "3", "--grace", "2"]
WITHIN = 60.0  # seconds of ours; the chain's pass by leaps
LOOK_EVERY = 0.1
JUST_AFTER = 1
NOTHING = Slot(0, 0, 0, 0, Status(0))
CLOSE_PATIENCE = 60  # settlement's default: so long it waits for both signatures of a close

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found | None], what: str) -> Found:
    """Return what the look finds, as soon as it finds something."""
    deadline = time.monotonic() + WITHIN
    while not (found := look()):
        assert time.monotonic() < deadline, f"{WITHIN:.0f} s passed without {what}"
        time.sleep(LOOK_EVERY)
    return found


@dataclass
class Scene:
    """A marketplace, its chain, and a stranger who has nothing to do with either but some ether."""

    market: Marketplace
    sides: Sides
    chain: DevChain
    stranger: Chain
    people: dict[str, bytes] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def renting(self, trace: Trace) -> Iterator[tuple[Program, Program, str]]:
        """Run both sides' agents until the renter has acknowledged some use; yield device, renter, rental."""
        sides = self.sides
        wallet = sides.fill_wallet()["address"]
        with sides.device(*trace.driver(SPEED), *SHORT) as device:
            ready = device.of("device_ready")[0]
            self.people = {
                "owner": _bytes(ready["owner"]),
                "renter": _bytes(wallet),
                "fee": _bytes(sides.get("/v1/platform")["fee_to"]),
            }
            self.before = holdings(self.stranger, self.people)
            with sides.renter(ready["device"]) as renter:
                renter.wait_until(
                    lambda event: event["event"] == "ceiling" and int(event["ack_amount"]) > 0,
                    within=RENTAL_WITHIN,
                    what="ceiling that acknowledges use",
                )
                rental_id = str(renter.of("agreed")[0]["rental_id"])
                wait_until(lambda: self.has_used(rental_id) or None, "acknowledged use at the marketplace")
                yield device, renter, rental_id

    def view(self, rental_id: str) -> dict[str, Any]:
        """Return the rental as the marketplace tells it."""
        return self.sides.get(f"/v1/rentals/{rental_id}")

    def has_used(self, rental_id: str) -> bool:
        """Return whether the marketplace knows of use, and that the renter acknowledged some."""
        view = self.view(rental_id)
        return view["seq"] is not None and int(view["acknowledged"]) > 0

    def reaches(self, rental_id: str, *states: State) -> dict[str, Any]:
        """Return the rental once it is in one of these states."""

        def look() -> dict[str, Any] | None:
            view = self.view(rental_id)
            return view if view["state"] in states else None

        return wait_until(look, f"state {' or '.join(states)}")

    def pass_deadline(self, rental_id: str) -> State:
        """Move the chain's clock just past the state's deadline; return the state that follows."""
        view = self.view(rental_id)
        due = int(datetime.fromisoformat(view["deadline"]).timestamp())
        self.chain.travel_to(max(due, self.chain.now()) + JUST_AFTER)
        return State(
            wait_until(
                lambda: (now := self.view(rental_id)["state"]) != view["state"] and now,
                f"an end of {view['state']}",
            )
        )

    def let_time_pass(self, rental_id: str) -> State:
        """Move the chain's clock on in small steps until the state ends; return the one that follows.

        After a large step, settlement takes itself for one who was away, and waits for a beginning anew.
        """
        state = self.view(rental_id)["state"]

        def look() -> Any:
            self.chain.travel(seconds=30)
            now = self.view(rental_id)["state"]
            return now if now != state else None

        return State(wait_until(look, f"an end of {state}"))

    def pass_every_deadline(self, rental_id: str) -> State:
        """Let one deadline after the other pass until the rental is over; return how it ended."""
        state = State(self.view(rental_id)["state"])
        while state not in TERMINAL:
            state = self.pass_deadline(rental_id)
        return state

    def claimed(self, rental_id: str) -> Slot:
        """Return the rental's slot on the chain, once both keys' word has reached it: what is acknowledged is
        paid, and the rest of what is due waits.
        """

        def look() -> Slot | None:
            view, slot = self.view(rental_id), self.stranger.slot(_bytes(rental_id))
            wanted = int(view["acknowledged"]), int(view["amount_due"])
            return slot if (slot.paid, slot.paid + slot.tail) == wanted else None

        return wait_until(look, "a claim of all that is due")

    def is_empty(self, agreement: SignedAgreement) -> bool:
        """Return whether the chain holds nothing any more of the rental, not even its slot."""
        return self.stranger.slot(agreement.rental_id) == NOTHING

    def bill(self, rental_id: str) -> SignedBill:
        """Return the bill, which anyone can verify."""
        wait_until(lambda: self.view(rental_id)["bill"] or None, "a bill")
        signed = SignedBill.model_validate_json(json.dumps(self.sides.get(f"/v1/rentals/{rental_id}/bill")))
        verify_bill(signed, issuer=_bytes(self.sides.get("/v1/platform")["bill_signer"]))
        return signed

    def assert_paid(self, use: int, agreement: SignedAgreement) -> None:
        """The owner has the use less the fee, everything else is the renter's again, nothing is left over."""
        fee = fee_of(use, agreement.agreement.pay.fee_bps)
        assert holdings(self.stranger, self.people) == {
            "owner": self.before["owner"] + use - fee,
            "renter": self.before["renter"] - use,
            "fee": self.before["fee"] + fee,
            "escrow": self.before["escrow"],
        }


@pytest.fixture
def scene(market: Marketplace, tmp_path: Path) -> Scene:
    """Return an open marketplace, whose chain's clock the test may move."""
    chain = DevChain.running_at(market.settings.chain_port, market.settings.deployment)
    return Scene(market, Sides(market, tmp_path), chain, door(chain, key=STRANGER_KEY))


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Return a machine that runs for longer than any test lasts."""
    return a_trace(tmp_path / "motor.csv", rows=2_400)


def test_a_renter_who_vanishes_pays_what_was_used_and_gets_the_rest_back(scene: Scene, trace: Trace) -> None:
    with scene.renting(trace) as (device, renter, rental_id):
        # Nobody acknowledges any more: the machine stops at its ceiling, and gives up after its grace.
        renter.kill()
        device.wait_for("suspended", within=RENTAL_WITHIN)
        ended = device.wait_for("ended", within=RENTAL_WITHIN)
        assert ended["reason"] == "grace"
        due = int(ended["amount_due"])
        device.wait_for("close_signed", within=RENTAL_WITHIN)
        page = _renters_page(scene)
        assert page.ceiling is not None

        # The owner's half of the close waits in vain: the platform claims with the two keys it has.
        scene.reaches(rental_id, State.CLOSED)
        scene.chain.travel(seconds=CLOSE_PATIENCE + JUST_AFTER)
        slot = scene.claimed(rental_id)
        assert 0 < slot.paid <= page.ceiling.ceiling.ack_amount
        assert slot.paid < slot.paid + slot.tail == due <= page.ceiling.ceiling.max_claimable

        # What nobody acknowledged waits out the window for the renter's objection; none comes.
        assert scene.pass_every_deadline(rental_id) is State.SETTLED
        signed = scene.bill(rental_id)
        assert signed.bill.total == due
        assert signed.bill.readings[-1].reading.last
        scene.assert_paid(due, page.agreement)
        device.wait_for("bill_countersigned", within=RENTAL_WITHIN)


def test_a_device_that_vanishes_is_paid_what_it_delivered(scene: Scene, trace: Trace) -> None:
    with scene.renting(trace) as (device, renter, rental_id):
        durable = int(scene.view(rental_id)["seq"])
        device.kill()

        # The rental's end comes without a last reading. What was durable until then is claimed.
        assert scene.pass_deadline(rental_id) is State.ENDING
        slot = scene.claimed(rental_id)
        assert slot.paid > 0
        assert renter.process.poll() is None
        agreement = _renters_page(scene).agreement

        # Some minutes later it is given up, and some hours later all is paid out.
        assert scene.pass_every_deadline(rental_id) is State.SETTLED
        signed = scene.bill(rental_id)
        last = signed.bill.readings[-1].reading
        assert last.seq >= durable
        assert not last.last
        assert signed.bill.total == last.amount_due == slot.paid + slot.tail
        scene.assert_paid(signed.bill.total, agreement)


def test_a_rental_that_never_begins_costs_nothing(scene: Scene) -> None:
    async def rent() -> tuple[SignedAgreement, dict[str, bytes]]:
        async with rented(scene.market) as rental:
            return rental.signed, rental.people

    agreement, scene.people = asyncio.run(rent())
    all_in = agreement.agreement.all_in
    now = holdings(scene.stranger, scene.people)
    scene.before = {**now, "renter": now["renter"] + all_in, "escrow": now["escrow"] - all_in}
    rental_id = f"0x{agreement.rental_id.hex()}"

    # The start window passes without a begin reading; the money waits until nobody can claim it any more.
    assert scene.let_time_pass(rental_id) is State.CANCELLED
    scene.chain.travel_to(agreement.agreement.claim_by + JUST_AFTER)
    wait_until(lambda: scene.is_empty(agreement), "a settlement")
    scene.assert_paid(0, agreement)
    assert scene.view(rental_id)["state"] == State.CANCELLED


def test_without_the_platform_a_stranger_brings_the_money_home(scene: Scene, trace: Trace) -> None:
    market = scene.market
    with scene.renting(trace) as (device, renter, _):
        # Everything of the marketplace but the public chain is gone for good, and so are both agents.
        for child in (market.platform, market.ingest, market.broker):
            child.kill()
        device.wait_for("suspended", within=RENTAL_WITHIN)
        device.kill()
        renter.kill()
    agreement, reading, ceiling = _owners_papers(scene)
    page, due = _renters_page(scene), reading.reading.amount_due
    assert page.agreement == agreement
    assert page.ceiling is not None

    # Who holds the signed papers can claim, with an account that nobody has heard of.
    send(scene.stranger, scene.stranger.calls.claim(agreement.agreement, reading, ceiling))
    slot = scene.stranger.slot(agreement.rental_id)
    assert ceiling.ceiling.ack_amount <= slot.paid <= page.ceiling.ceiling.ack_amount
    assert slot.paid < slot.paid + slot.tail == due

    # Who holds the agreement alone can settle: first what nobody claims any more, at last the tail.
    settle = scene.stranger.calls.settle(agreement.agreement)
    scene.chain.travel_to(slot.claim_by + JUST_AFTER)
    send(scene.stranger, settle)
    assert scene.stranger.slot(agreement.rental_id).has(Status.SPLIT)
    scene.chain.travel_to(slot.claim_by + agreement.agreement.rules.challenge_window + JUST_AFTER)
    send(scene.stranger, settle)
    assert scene.is_empty(agreement)
    scene.assert_paid(due, agreement)
    stranger = scene.stranger.wallet(STRANGER_KEY.identity)
    assert (stranger.balance, stranger.credit) == (0, 0)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _renters_page(scene: Scene) -> Page:
    (page,) = RenterBook(scene.sides.home / "renter" / "renter" / "rentals").unfinished()
    return page


def _owners_papers(scene: Scene) -> tuple[SignedAgreement, SignedReading, SignedCeiling]:
    """Return the agreement, the last reading and the last ceiling from the device's own log."""
    (path,) = (scene.sides.home / "device").glob("devices/*/rentals/*.log")
    log = RentalLog.open(path)
    try:
        assert log.last is not None
        assert log.ceiling is not None
        return log.start.agreement, log.last.signed, log.ceiling
    finally:
        log.close()
