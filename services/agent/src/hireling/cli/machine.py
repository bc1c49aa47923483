"""The machine that ``hireling device run`` was asked for, put together and served."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from hireling.announce import Announce
from hireling.approvals import Approvals
from hireling.broker_pass import BrokerPass
from hireling.cli.outlet import Outlet
from hireling.cli.surroundings import Home
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.device.agent import DeviceAgent
from hireling.device.bidder import BidBrief, Bidder
from hireling.device.bookings import Bookings
from hireling.device.chain import EscrowReader
from hireling.device.delegate import DelegateFile
from hireling.device.listener import topics_for
from hireling.device.moves import MovesOverMqtt
from hireling.device.negotiator import Brief, Negotiator
from hireling.device.offering import Wishes, bargaining_wishes
from hireling.device.presence import Presence
from hireling.device.price_bounds import PricingWishes, price_rules
from hireling.device.price_journal import PriceJournal
from hireling.device.pricing import Pricing
from hireling.device.tools import Tools
from hireling.drivers.choice import Choice, open_driver
from hireling.drivers.driver import BadInput, Facts
from hireling.durable import make_private_folder, write_atomically
from hireling.json_rpc import JsonRpc
from hireling.keystore import Curve
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import Broker, MqttLine
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformUnreachable
from hireling.platform_views import PlatformView
from hireling.rental.encoding import Encoding
from hireling.rental.money import Token
from hireling.sealed_bids import SealedBids

CONNECT_AGAIN_SECONDS = 3.0


@dataclass(frozen=True)
class Order:
    """Everything that `device run` was asked for."""

    home: Home
    gateway: str
    name: str
    choice: Choice
    wishes: Wishes
    curve: Curve
    rpc_url: str | None
    broker: Broker | None
    confirmations: int | None
    once: bool
    on_approval: str | None
    encoding: Encoding
    pricing: PricingWishes
    bids: bool


async def serve(order: Order, outlet: Outlet) -> bool:
    """Run the machine until SIGTERM or Ctrl-C, or one rental with `once`; return whether all is well."""
    this = asyncio.current_task()
    loop = asyncio.get_running_loop()
    wishes = {"stop": False}

    def stop() -> None:
        wishes["stop"] = True
        if this is not None:
            this.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        with only_one(order.home.device(order.name)):
            return await _serve(order, outlet)
    except asyncio.CancelledError:
        if not wishes["stop"]:
            raise
        outlet.say("stopped; a rental in progress goes on when this command runs again")
        return True


async def _serve(order: Order, outlet: Outlet) -> bool:
    clock = SystemClock()
    driver = open_driver(order.choice, clock=clock)
    folder = order.home.device(order.name)
    keys = order.home.keystore(folder / "keys")
    owner = order.home.keys.secp256k1("owner")
    meter, agent_key = keys.load_or_create("meter", order.curve), keys.load_or_create("agent")
    platform = PlatformClient(order.gateway)
    try:
        facts = await _reach(platform, folder / "marketplace.json", outlet)
        outlet.token = facts.money
        pricing = _pricing(order, driver.facts, facts.money, clock=clock, announce=outlet.announce)
        presence = Presence(
            platform=platform,
            facts=facts,
            machine=driver.facts,
            wishes=order.wishes,
            owner=owner,
            agent=agent_key,
            meter=meter,
            clock=clock,
            announce=outlet.announce,
            price=None if pricing is None else pricing.price,
            delegate=DelegateFile(folder),
        )
        outlet.announce(
            "device_ready",
            device=f"0x{presence.device.hex()}",
            owner=f"0x{owner.identity.hex()}",
            meter=f"0x{meter.identity.hex()}",
        )
        rpc = JsonRpc(order.rpc_url or facts.rpc_url)
        line = MqttLine(
            order.broker or Broker(host=facts.mqtt.host, port=facts.mqtt.port, tls=facts.mqtt.tls),
            topics=topics_for(presence.device),
            announce=outlet.announce,
            entry=BrokerPass(
                platform, domain=presence.domain, key=meter, device=presence.device, clock=clock
            ),
        )
        bookings = Bookings(
            turnaround=order.wishes.turnaround_seconds, takes_bookings=order.wishes.books_ahead_seconds > 0
        )
        tools = Tools(
            platform=platform,
            chain=EscrowReader(rpc, confirmations=order.confirmations or facts.confirmations),
            line=line,
            driver=driver,
            meter_key=meter,
            agent_key=agent_key,
            clock=clock,
            announce=outlet.announce,
            folder=make_private_folder(folder / "rentals"),
            bills=order.home.bills,
            device=presence.device,
            bill_signer=facts.bill_signer,
            in_use=asyncio.Lock(),
            encoding=order.encoding,
            bookings=bookings,
            owner_key=owner,
        )
        ledger = MandateLedger(order.home.ledger)
        moves = MovesOverMqtt(platform=platform, line=line, device=presence.device, announce=outlet.announce)
        negotiator = Negotiator(
            moves=moves,
            platform=platform,
            facts=facts,
            presence=presence,
            key=agent_key,
            clock=clock,
            announce=outlet.announce,
            brief=Brief(
                wishes=bargaining_wishes(driver.facts, order.wishes, facts.money),
                ledger=ledger,
                approvals=Approvals(order.home.ledger),
                decisions=DecisionLog(order.home.decisions, side="owner"),
                bookings=bookings,
                hook=order.on_approval,
                zone=clock.now().astimezone().tzinfo or UTC,
                pricing=pricing,
            ),
        )
        bidder = Bidder(
            platform=platform,
            presence=presence,
            key=agent_key,
            clock=clock,
            announce=outlet.announce,
            brief=BidBrief(
                least_percent=negotiator.least_percent,
                bookings=bookings,
                require_allowed=negotiator.require_allowed,
                bids=SealedBids(folder / "bids"),
            ),
        )
        agent = DeviceAgent(
            tools=tools,
            presence=presence,
            negotiator=negotiator,
            ledger=ledger,
            moves=moves,
            pricing=pricing,
            bidder=bidder if order.bids else None,
        )
        if order.once:
            return (await agent.run_once()).has_bill
        await agent.run_for_ever()
        return True
    finally:
        await platform.close()


def _pricing(
    order: Order, machine: Facts, token: Token, *, clock: SystemClock, announce: Announce
) -> Pricing | None:
    """Return the machine's pricing agent, where its owner wants one. Raises BadInput."""
    if order.pricing.mode == "off":
        return None
    rules = price_rules(machine, order.wishes, order.pricing, token=token, now=clock.now())
    return Pricing(
        mode=order.pricing.mode,
        rules=rules,
        unit=machine.pricing.unit,
        token=token,
        journal=PriceJournal(order.home.device(order.name), clock.now()),
        clock=clock,
        announce=announce,
    )


async def _reach(platform: PlatformClient, remembered: Path, outlet: Outlet) -> PlatformView:
    """Return the marketplace's facts, as they were last time where it does not answer.

    A rental goes on without it. A machine that never met it waits.
    """
    while True:
        try:
            facts = await platform.platform()
        except PlatformUnreachable as error:
            outlet.announce("platform_unreachable", detail=str(error))
            if (known := _recall(remembered)) is not None:
                return known
            await asyncio.sleep(CONNECT_AGAIN_SECONDS)
        else:
            with suppress(OSError):  # A full disk keeps no machine from what needs none.
                write_atomically(remembered, facts.model_dump_json().encode())
            return facts


def _recall(remembered: Path) -> PlatformView | None:
    return PlatformView.model_validate_json(remembered.read_bytes()) if remembered.exists() else None


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the machine's lock: two agents with one meter key would sign the same numbers. Raises BadInput."""
    path = make_private_folder(folder) / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"the machine in {folder} is already run by another `hireling device run`;"
                " --name or --home makes a second one"
            ) from error
        yield
    finally:
        os.close(descriptor)
