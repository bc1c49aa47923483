"""Machines and renters that rent all the time: ``python -m tests.e2e.faults.agents GATEWAY HOME PAIRS``.

They are the agents of the `hireling` command in one process, each with its own keys and files. The parent
says on standard input: ``go`` (rent one rental after the other), ``hold`` (end what is under way, begin
nothing), ``wrong-by SECONDS`` (the wall clock of all of them). What each does is in HOME/events.jsonl.

A renter who is refused or cut off comes back onto its rental, as ``hireling rent --resume`` does; a machine
that breaks is started again on its log.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

from hireling.announce import Announce, Field
from hireling.approvals import Approvals
from hireling.bargaining.wishes import RenterWishes
from hireling.cli.machine import Order, serve
from hireling.cli.outlet import EXIT_CODES, Outlet
from hireling.cli.surroundings import Home
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.device.offering import Wishes
from hireling.device.price_bounds import PricingWishes
from hireling.drivers.choice import Choice
from hireling.json_rpc import JsonRpc
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.renter.agent import RenterAgent, cheapest
from hireling.renter.bargainer import Brief
from hireling.renter.book import RenterBook
from hireling.renter.wallet import Wallet
from tests.e2e.journey import a_trace

SPEED = 2
ROWS = 20  # 10 s of rental, a reading every half second
AGAIN_SECONDS = 1.0
BETWEEN_RENTALS_SECONDS = 0.5
TROUBLE: tuple[type[Exception], ...] = (*EXIT_CODES, OSError)


class Events:
    """Where everybody's events go, a line each."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def of(self, who: str) -> Announce:
        """Return what this one announces to."""

        def announce(event: str, **fields: Field) -> None:
            said = {name: value for name, value in fields.items() if value is not None}
            self._file.write(
                json.dumps({"who": who, "at": round(time.time(), 3), "event": event, **said}) + "\n"
            )
            self._file.flush()

        return announce


class EventOutlet(Outlet):
    """The command's outlet, into the file of events."""

    def __init__(self, announce: Announce) -> None:
        super().__init__(as_json=True)
        self._told = announce

    @property
    def announce(self) -> Announce:
        """Return where a command's events go."""
        return self._told


@dataclass
class Wish:
    """What the parent wants."""

    rent: asyncio.Event


class Pair:
    """A machine, and a renter who rents no other."""

    def __init__(self, number: int, *, gateway: str, home: Path, events: Events, wish: Wish) -> None:
        self._gateway = gateway
        self._wish = wish
        self._name = f"machine {number}"
        self._machine, self._renter = Home.at(home / f"owner-{number}"), Home.at(home / f"renter-{number}")
        self._trace = a_trace(home / f"motor-{number}.csv", rows=ROWS)
        self._say_machine, self._say_renter = events.of(f"machine-{number}"), events.of(f"renter-{number}")

    async def run_machine(self) -> None:
        """Run the machine for ever."""
        order = Order(
            home=self._machine,
            gateway=self._gateway,
            name=self._name,
            choice=Choice(
                driver="replay",
                title=self._name,
                trace=self._trace.path,
                column=self._trace.column,
                speed=SPEED,
            ),
            wishes=Wishes(grace_seconds=60),
            curve="secp256k1",
            rpc_url=None,
            broker=None,
            confirmations=None,
            once=False,
            on_approval=None,
            encoding="json",
            pricing=PricingWishes(),
            bids=False,
        )
        while True:
            try:
                await serve(order, EventOutlet(self._say_machine))
            except TROUBLE as error:
                self._say_machine("broken", detail=repr(error)[:300])
            await asyncio.sleep(AGAIN_SECONDS)

    async def run_renter(self) -> None:
        """Rent for ever, whenever the parent wants it."""
        platform = PlatformClient(self._gateway)
        while True:
            try:
                await self._rent(platform)
            except TROUBLE as error:
                self._say_renter("cut_off", detail=repr(error)[:300])
            await asyncio.sleep(AGAIN_SECONDS)

    async def _rent(self, platform: PlatformClient) -> None:
        facts = await platform.platform()
        key = self._renter.keys.secp256k1("wallet")
        wallet = Wallet(key, platform=platform, facts=facts, rpc=JsonRpc(facts.rpc_url))
        book = RenterBook(self._renter.renter_book)
        agent = RenterAgent(
            platform=platform,
            facts=facts,
            wallet=wallet,
            wallet_key=key,
            keys=self._renter.renter_keys,
            book=book,
            bills=self._renter.bills,
            clock=SystemClock(),
            announce=self._say_renter,
            brief=Brief(
                wishes=RenterWishes(),
                hook=None,
                ledger=MandateLedger(self._renter.ledger),
                approvals=Approvals(self._renter.ledger),
                decisions=DecisionLog(self._renter.decisions, side="renter"),
            ),
        )
        if not (await wallet.state()).balance:
            await platform.faucet(wallet.address)
        self._say_renter("purse", address=f"0x{wallet.address.hex()}")
        while True:
            for page in book.unfinished():
                await agent.carry(page)
            self._say_renter("free")
            await self._wish.rent.wait()
            listings = [
                each for each in await platform.listings(limit=200) if each.document.title == self._name
            ]
            # The start is said by the wall: by a clock that is 5 minutes ahead it may lie in the next quarter
            # of an hour, a booking that both sides wait for after their clocks are right again.
            now = int(time.time())
            await agent.rent(cheapest(listings, seconds=None), seconds=None, budget=None, start_at=now)
            await asyncio.sleep(BETWEEN_RENTALS_SECONDS)


def set_clock(wrong_by: timedelta) -> None:
    """Set everybody's wall clock wrong by so much."""

    def now(self: SystemClock) -> datetime:
        return datetime.now(UTC) + wrong_by

    SystemClock.now = now  # type: ignore[method-assign]


async def obey(wish: Wish) -> None:
    """Do what the parent says, until it goes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        match line.decode().split():
            case ["go"]:
                wish.rent.set()
            case ["hold"]:
                wish.rent.clear()
            case ["wrong-by", seconds]:
                set_clock(timedelta(seconds=int(seconds)))


async def main(gateway: str, home: Path, pairs: int) -> None:
    """Run all of them until the parent goes."""
    wish = Wish(rent=asyncio.Event())
    with (home / "events.jsonl").open("a") as file:
        events = Events(file)
        each = [Pair(number, gateway=gateway, home=home, events=events, wish=wish) for number in range(pairs)]
        work = [pair.run_machine() for pair in each] + [pair.run_renter() for pair in each]
        tasks = [asyncio.create_task(some) for some in work]
        await obey(wish)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
