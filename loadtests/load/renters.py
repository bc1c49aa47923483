"""Renters that rent for real: the package's own agent, from the question for a price to the verified bill.

    python -m loadtests.load.renters GATEWAY FOLDER COUNT

COUNT wallets, each with test money, rent the machines of FOLDER/machines.jsonl, one rental a wallet and a
machine at a time. Each line sent to FOLDER/renters.sock is one rental; the answer is a line of JSON for
everything that took time, as it happens, and an empty line at its end. FOLDER/rentals.jsonl has a line for
each that was billed.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from hireling.announce import Field
from hireling.approvals import Approvals
from hireling.clock import SystemClock
from hireling.decision_log import DecisionLog
from hireling.json_rpc import JsonRpc
from hireling.keystore import Curve, Key, Keystore
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView
from hireling.rental.signing import Secp256k1Key
from hireling.renter.agent import RenterAgent
from hireling.renter.bargainer import Brief
from hireling.renter.book import RenterBook
from hireling.renter.settling import Kept
from hireling.renter.wallet import Wallet
from loadtests.load.legs import Journal, now
from loadtests.load.machines import USUAL
from loadtests.load.words import Timing
from services.chassis.garbage import collect_seldom

Say = Callable[[Timing], None]
FAUCETS_AT_ONCE = 4
FIRST_ERROR, NOT_THERE, NOTHING_WAS_DONE = 400, 404, 503
# Between these a renter waits; the marks are the agent's own events.
MARKS = (
    ("quote to funded", "found", "funded"),
    ("quote to unlocked", "found", "unlocked"),
    ("last reading to bill", "ended", "bill"),
    ("whole rental", "found", "bill"),
)
TROUBLES = frozenset(
    {"reading_refused", "machine_silent", "dead_on_arrival", "never_started", "declined", "flagged",
     "close_refused", "cancelled", "bill_not_countersigned", "platform_unreachable"}
)  # fmt: skip


class KeysInMemory(Keystore):
    """Keys that need not outlive the run: encrypting each session's would be a third of the load."""

    def __init__(self) -> None:
        super().__init__(Path(), passphrase="")
        self._keys: dict[str, Key] = {}

    def load(self, name: str) -> Key:
        """Return the named key."""
        return self._keys[name]

    def load_or_create(self, name: str, curve: Curve = "secp256k1") -> Key:
        """Return the named key, made now if there is none."""
        return self._keys.setdefault(name, Secp256k1Key.generate())


class Timed(httpx.AsyncHTTPTransport):
    """Tells how long each request took, to the last byte of its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.say: Say = lambda _: None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request."""
        began = time.perf_counter()
        response = await super().handle_async_request(request)
        await response.aread()
        ms = (time.perf_counter() - began) * 1000
        kind = "WAIT" if "wait" in request.url.params else "HTTP"
        is_close = request.url.path.endswith("/closes")
        if response.status_code == NOTHING_WAS_DONE or (is_close and is_usual(response.text)):
            kind = "RETRIED"  # by the agent, which says so where that did not help
        # A rental or its bill is asked for until it is there.
        is_early = response.status_code == NOT_THERE and request.url.path.startswith("/v1/rentals/")
        is_wrong = response.status_code >= FIRST_ERROR and not is_early and kind != "RETRIED"
        error = f"{response.status_code} {response.text[:200]}" if is_wrong else None
        self.say(Timing(kind, f"{request.method} {template(request.url.path)}", ms, error))
        return response


def is_usual(text: str) -> bool:
    """Return whether a close was only refused because settlement has not heard of the last reading yet."""
    return any(code in text for code in USUAL)


def template(path: str) -> str:
    """Return a path with its ids left out."""
    words = ("…" if word.startswith("0x") or len(word) > 30 else word for word in path.split("/"))
    return "/".join(words)


class Renter:
    """One wallet, which rents one machine after the other."""

    def __init__(self, gateway: str, facts: PlatformView, folder: Path) -> None:
        self._transport = Timed()
        self._marks: dict[str, float] = {}
        self._moments: dict[str, float] = {}
        self._journal = Journal(folder.parent.parent / "journal.jsonl")
        self._say: Say = lambda _: None
        self.troubles: list[str] = []
        self.key = Secp256k1Key.generate()
        self.platform = PlatformClient(gateway, transport=self._transport)
        clock = SystemClock()
        self._agent = RenterAgent(
            platform=self.platform,
            facts=facts,
            wallet=Wallet(self.key, platform=self.platform, facts=facts, rpc=JsonRpc(facts.rpc_url)),
            wallet_key=self.key,
            keys=KeysInMemory(),
            book=RenterBook(folder / "book"),
            bills=folder / "bills",
            clock=clock,
            announce=self._hear,
            brief=Brief(
                ledger=MandateLedger(folder / "mandates.sqlite"),
                approvals=Approvals(folder / "mandates.sqlite"),
                decisions=DecisionLog(folder / "decisions", side="renter"),
            ),
        )

    async def rent(self, machine: dict[str, str], say: Say) -> Kept | None:
        """Rent this machine to the end. Raises what the agent raises."""
        self._say = self._transport.say = say
        self._marks, self._moments, self.troubles = {}, {}, []
        listing = await self.platform.listing(machine["listing"])
        return await self._agent.rent(listing, seconds=None, budget=None)

    def _hear(self, event: str, **fields: Field) -> None:
        at = time.perf_counter()
        self._marks.setdefault(event, at)
        self._moments.setdefault(f"renter {event}", now())
        for name, start, end in MARKS:
            if event == end and self._marks[end] == at and start in self._marks:
                self._say(Timing("RENTAL", name, (at - self._marks[start]) * 1000))
        if event == "bill":
            self._journal.note(str(fields["rental_id"]), self._moments)
        if event in TROUBLES and not is_usual(str(fields)):
            self.troubles.append(f"{event}: {fields}")


class Renters:
    """Everyone who rents here, and what they may rent."""

    def __init__(self, renters: list[Renter], machines: list[dict[str, str]], record: Path) -> None:
        self._record = record
        self._renters: asyncio.Queue[Renter] = asyncio.Queue()
        self._machines: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        for renter in renters:
            self._renters.put_nowait(renter)
        for machine in machines:
            self._machines.put_nowait(machine)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Rent once for each line that comes."""
        with contextlib.suppress(ConnectionError):
            while await reader.readline():
                await self._rent(lambda timing: writer.write(timing.line))
                writer.write(b"\n")
                await writer.drain()
        writer.close()

    async def _rent(self, say: Say) -> None:
        renter, machine = await self._renters.get(), await self._machines.get()
        began = time.perf_counter()
        try:
            kept = await renter.rent(machine, say)
            if kept is None:
                renter.troubles.append("no bill")
            else:
                self._note(renter, machine, kept)
        except Exception as error:  # noqa: BLE001 - whatever it was, this rental did not work
            renter.troubles.append(f"{type(error).__name__}: {error}")
        finally:
            self._renters.put_nowait(renter)
            self._machines.put_nowait(machine)
        for trouble in renter.troubles:
            say(Timing("RENTAL", "trouble", (time.perf_counter() - began) * 1000, error=trouble))

    def _note(self, renter: Renter, machine: dict[str, str], kept: Kept) -> None:
        bill = kept.signed.bill
        line: dict[str, Any] = {
            "at": time.time(),
            "rental_id": f"0x{bill.rental.rental_id.hex()}",
            "renter": f"0x{renter.key.identity.hex()}",
            "owner": machine["owner"],
            "bill": str(kept.path),
        }
        with self._record.open("a") as file:
            file.write(json.dumps(line) + "\n")


async def main(gateway: str, folder: Path, count: int) -> None:
    """Fill wallets, then rent whenever asked, until ended."""
    machines = [json.loads(line) for line in (folder / "machines.jsonl").read_text().splitlines()]
    platform = PlatformClient(gateway)
    facts = await platform.platform()
    renters = [Renter(gateway, facts, folder / "renters" / str(number)) for number in range(count)]
    for start in range(0, count, FAUCETS_AT_ONCE):
        some = renters[start : start + FAUCETS_AT_ONCE]
        await asyncio.gather(*(renter.platform.faucet(renter.key.identity) for renter in some))
    (folder / "wallets.json").write_text(json.dumps([f"0x{each.key.identity.hex()}" for each in renters]))
    desk = Renters(renters, machines, folder / "rentals.jsonl")
    async with await asyncio.start_unix_server(desk.answer, folder / "renters.sock") as server:
        await server.serve_forever()


if __name__ == "__main__":
    collect_seldom()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
