"""A machine that bids by itself, at a real marketplace: what it asks, reveals, leaves alone and survives."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hireling.announce import Field
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.steps import steps
from hireling.device.bidder import BidBrief, Bidder
from hireling.device.bookings import Bookings
from hireling.platform_client import PlatformClient
from hireling.rental.errors import MandateExceeded
from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedMandate
from hireling.rental.slot import Slot
from hireling.rental.typed_data import Domain
from hireling.sealed_bids import SealedBids
from tests.auctions import CLOSES, OPENS, SECONDS, START, a_notice, signed_notice
from tests.builders import DOMAIN, NOW, OWNER_AGENT_KEY, a_key, a_mandate
from tests.fakes.actors import DeviceActor
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.unit.agent.rentals import HandClock

HandFront = Front[HandClock]
FLOOR = 80


@dataclass
class Offered:
    """What the machine offers, and under which mandate."""

    listed: SignedListing
    listed_at: datetime
    mandate: SignedMandate
    domain: Domain = DOMAIN


@dataclass
class Machine:
    """A machine with its bidding agent, which may be started anew."""

    front: HandFront
    folder: Path
    offered: Offered
    bookings: Bookings = field(default_factory=lambda: Bookings(takes_bookings=True))
    floor: int = FLOOR
    is_stopped: bool = False
    said: list[tuple[str, dict[str, Field]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bidder = self.started()

    def started(self) -> Bidder:
        """Return the agent as it is after a start."""
        return Bidder(
            platform=PlatformClient("http://market", transport=self.front.transport()),
            presence=self.offered,
            key=OWNER_AGENT_KEY,
            clock=self.front.clock,
            announce=lambda event, **fields: self.said.append((event, fields)),
            brief=BidBrief(
                least_percent=lambda _: self.floor,
                bookings=self.bookings,
                require_allowed=self._require_allowed,
                bids=SealedBids(self.folder),
            ),
        )

    def turn(self) -> None:
        """Let the agent look once."""
        asyncio.run(self.bidder.turn())

    def told(self, event: str) -> dict[str, Field]:
        """Return what it said of one event, said once."""
        (fields,) = [fields for name, fields in self.said if name == event]
        return fields

    async def _require_allowed(self) -> None:
        if self.is_stopped:
            raise MandateExceeded("revoked", "its principal stopped it")


@pytest.fixture
def front(tmp_path: Path) -> Iterator[HandFront]:
    """Run the front at a moment that tests move."""
    with running_front(sqlite_urls(tmp_path), clock=HandClock(NOW)) as running:
        yield running


@pytest.fixture
def machine(front: HandFront, tmp_path: Path) -> Machine:
    """Offer a machine for hire that bids."""
    offered = Offered(front.offer_for_hire(), front.clock.now(), a_mandate())
    return Machine(front, tmp_path / "bids", offered)


def opened(front: HandFront, **changes: Any) -> tuple[AuctionNotice, str]:
    """Have a renter look for an appliance; return the notice and the auction's id, once bids come in."""
    notice = a_notice("reverse", **changes)
    answer = front.post("/v1/auctions", signed_notice(notice))
    assert answer.status_code == 200, answer.text
    go_to(front, OPENS)
    return notice, str(answer.json["auction"])  # type: ignore[index]


def go_to(front: HandFront, at: int) -> None:
    """Move the clock to a Unix second; the machine gives a sign of life."""
    front.clock.advance(at - front.clock.now().timestamp())
    front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())


def amount_at(machine: Machine, percent: int) -> int:
    """Return what the notice's seconds cost at a price step."""
    amounts = steps(machine.offered.listed.document, SECONDS)
    return next(amount for amount, step in amounts.items() if step == percent)


def test_alone_it_asks_the_whole_price_and_wins(front: HandFront, machine: Machine) -> None:
    notice, auction = opened(front)
    machine.turn()
    machine.turn()
    assert machine.told("bid_made")["amount"] == amount_at(machine, 100)
    assert front.get(f"/v1/auctions/{auction}")["came"] == 1
    assert machine.bidder.is_bound

    go_to(front, CLOSES + 1)
    machine.turn()
    machine.turn()
    assert machine.told("bid_revealed")["amount"] == amount_at(machine, 100)
    go_to(front, notice.settled_by)
    front.platform.wait_until(lambda: bool(front.get(f"/v1/auctions/{auction}")["awards"]), timeout=20.0)
    machine.turn()
    assert machine.told("auction_won") == {"auction": auction, "amount": amount_at(machine, 100)}


def test_with_a_rival_it_asks_half_of_what_is_above_its_floor(front: HandFront, machine: Machine) -> None:
    rival = DeviceActor(clock=front.clock, meter=a_key("other meter"))
    front.offer_for_hire(rival)
    opened(front)
    front.call("listing", "heartbeat", rival.device, rival.heartbeat())
    machine.turn()
    assert machine.told("bid_made")["amount"] == amount_at(machine, 90)


def test_it_never_asks_more_than_the_renter_pays(front: HandFront, machine: Machine) -> None:
    opened(front, prices=(amount_at(machine, 86) + 1,))
    machine.turn()
    assert machine.told("bid_made")["amount"] == amount_at(machine, 86)


@pytest.mark.parametrize(
    ("code", "limit_percent"),
    [("below_floor", 78), ("slot_taken", 100), ("revoked", 100), ("needs_approval", 100)],
)
def test_what_it_could_not_keep_it_does_not_bid(
    front: HandFront, machine: Machine, code: str, limit_percent: int
) -> None:
    _, auction = opened(front, prices=(amount_at(machine, limit_percent),))
    if code == "slot_taken":
        machine.bookings.keep(bytes(32), Slot(start=START + SECONDS - 1, end=START + SECONDS))
    machine.is_stopped = code == "revoked"
    if code == "needs_approval":
        machine.offered.mandate = a_mandate(approval_above=amount_at(machine, 100))
    machine.turn()
    machine.turn()
    assert machine.told("auction_left")["code"] == code
    assert front.get(f"/v1/auctions/{auction}")["came"] == 0


def test_of_two_for_one_time_it_bids_in_one(front: HandFront, machine: Machine) -> None:
    auctions = {opened(front, salt=bytes([number]) * 32)[1] for number in (1, 2)}
    machine.turn()
    left, made = machine.told("auction_left"), machine.told("bid_made")
    assert left["code"] == "slot_taken"
    assert {left["auction"], made["auction"]} == auctions


def test_another_kind_is_none_of_its_business(front: HandFront, machine: Machine) -> None:
    opened(front, kind="printer")
    machine.turn()
    assert machine.said == []


def test_a_restart_before_the_reveal_loses_nothing(front: HandFront, machine: Machine) -> None:
    _, auction = opened(front)
    machine.turn()
    machine.bidder = machine.started()
    go_to(front, CLOSES + 1)

    async def again() -> None:
        await machine.bidder.resume()
        await machine.bidder.turn()

    asyncio.run(again())
    assert front.get(f"/v1/auctions/{auction}")["revealed"] == 1


def test_a_bid_that_came_in_unheard_comes_in_once(front: HandFront, machine: Machine) -> None:
    """The marketplace took it, and the agent was killed before it knew."""
    _, auction = opened(front)
    machine.turn()
    machine.bidder = machine.started()
    asyncio.run(machine.bidder.resume())
    machine.turn()
    assert front.get(f"/v1/auctions/{auction}")["came"] == 1
    assert "auction_left" not in dict(machine.said)
