"""Machines for hire, each a real agent with its own keys and log, as `hireling device run` runs it.

    python -m loadtests.load.machines GATEWAY FOLDER COUNT

All share one process and its loop, for there are two cores. Each replays a recorded machine of twenty rows.
FOLDER/machines.jsonl has a line for each that is listed; whoever connects to FOLDER/machines.sock hears, a
line of JSON each, how long a reading took from its signature to the marketplace's word that it is durable,
and what went wrong.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from pathlib import Path

from hireling.announce import Announce, Field
from hireling.cli.machine import Order, serve
from hireling.cli.outlet import Outlet
from hireling.cli.surroundings import Home
from hireling.device.offering import Wishes
from hireling.device.price_bounds import PricingWishes
from hireling.drivers.choice import Choice
from loadtests.load.legs import Journal, now
from loadtests.load.words import Timing, Words
from services.chassis.garbage import collect_seldom

ROWS = 20
SPEED = 10
START_AT_ONCE = 8
# What a machine says when something went wrong that a renter may not notice.
TROUBLES = frozenset(
    {
        "agreement_refused", "bill_not_stored", "bill_refused", "ceiling_refused", "close_refused",
        "dead_on_arrival", "disk_refuses", "driver_failed", "ledger_refuses", "log_damaged",
        "message_ignored", "message_refused", "platform_unreachable", "quote_left", "rate_limited",
        "unlock_refused",
    }
)  # fmt: skip

# What the journal has of a rental, from the machine's side.
NOTED = frozenset(
    {"agreed", "funded_seen", "waiting_for_unlock", "unlocked", "ended", "acked", "close_signed",
     "bill_countersigned"}
)  # fmt: skip

# Settlement hears of the last reading a moment after the machine wrote it: its close is offered again.
USUAL = frozenset({"still_running", "reading_missing"})


class Ear(Outlet):
    """Hears what one machine says instead of printing it."""

    def __init__(self, words: Words, listed: Path) -> None:
        super().__init__(as_json=True)
        self._words = words
        self._listed = listed
        self._journal = Journal(listed.with_name("journal.jsonl"))
        self._moments: dict[str, dict[str, float]] = {}
        self._owner = ""
        self._signed_at: dict[tuple[str, int], float] = {}
        self.is_listed = asyncio.Event()

    @property
    def announce(self) -> Announce:
        """Return what the machine tells its events to."""
        return self._hear

    def _hear(self, event: str, **fields: Field) -> None:
        if event in NOTED:
            self._note(event, str(fields["rental_id"]))
        if event == "reading":
            self._signed_at[str(fields["rental_id"]), int(str(fields["seq"]))] = time.perf_counter()
        elif event == "acked":
            self._acked(str(fields["rental_id"]), int(str(fields["seq"])))
        elif event == "device_ready":
            self._owner = str(fields["owner"])
        elif event == "listed":
            line = {"device": fields["device"], "listing": fields["listing"], "owner": self._owner}
            with self._listed.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self.is_listed.set()
        elif event in TROUBLES and fields.get("code") not in USUAL:
            self._words.say(Timing("MACHINE", event, 0.0, error=str(fields)))

    def _note(self, event: str, rental_id: str) -> None:
        moments = self._moments.setdefault(rental_id, {})
        if event == "acked":  # again and again; the last one counts
            moments["machine acked"] = now()
        moments.setdefault(f"machine {event}", now())
        if event == "bill_countersigned":
            self._journal.note(rental_id, self._moments.pop(rental_id))

    def _acked(self, rental_id: str, seq: int) -> None:
        now = time.perf_counter()
        for number in [number for rental, number in self._signed_at if rental == rental_id and number <= seq]:
            began = self._signed_at.pop((rental_id, number))
            self._words.say(Timing("MQTT", "reading signed to durable", (now - began) * 1000))


def order(gateway: str, home: Path, number: int, trace: Path) -> Order:
    """Return what one machine is asked for."""
    title = f"load machine {number}"
    return Order(
        home=Home.at(home),
        gateway=gateway,
        name=title,
        choice=Choice(driver="replay", title=title, trace=trace, column="power_W", speed=SPEED),
        wishes=Wishes(price="100", flat="0.01"),
        curve="secp256k1",
        rpc_url=None,
        broker=None,
        confirmations=None,
        once=False,
        on_approval=None,
        encoding="json",
        bids=False,
        pricing=PricingWishes(mode="off", ceiling=None, step_percent=8, every_minutes=60),
    )


def write_trace(path: Path, number: int) -> Path:
    """Write a recorded machine of its own: twenty seconds of whole watts."""
    watts = [200 + (row * 7919 + number * 104_729) % 1_800 for row in range(ROWS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["second,power_W", *(f"{row},{power}" for row, power in enumerate(watts)), ""]))
    return path


async def main(gateway: str, folder: Path, count: int) -> None:
    """Run the machines until SIGTERM."""
    words = Words()
    async with await words.serve(folder / "machines.sock"):
        ears = [Ear(words, folder / "machines.jsonl") for _ in range(count)]
        tasks: list[asyncio.Task[bool]] = []
        for number, ear in enumerate(ears):
            home = folder / "machines" / str(number)
            wanted = order(gateway, home, number, write_trace(home / "trace.csv", number))
            tasks.append(asyncio.create_task(serve(wanted, ear)))
            if number >= START_AT_ONCE:
                await ears[number - START_AT_ONCE].is_listed.wait()
        listed = asyncio.ensure_future(_all_listed(ears))
        await asyncio.wait([listed, *tasks], return_when=asyncio.FIRST_COMPLETED)
        # Each machine has asked for the signals; now they are meant for all.
        everything = asyncio.gather(*tasks)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, everything.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await everything


async def _all_listed(ears: list[Ear]) -> bool:
    for ear in ears:
        await ear.is_listed.wait()
    return True


if __name__ == "__main__":
    collect_seldom()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
