"""How many bargaining sessions the marketplace hosts: ``make bench-bargains``, ``ARGS=--help``.

An embedded marketplace with its chain, broker and gateway, as `make up` starts it, or with ``--stack`` each
service a process of its own on RabbitMQ, PostgreSQL and Mosquitto; and a client in this process on the same
cores. Each session is a question, the first offer, eight counter-offers and the owner's
signature over the last of them, which reserves at the mandate ledger: eleven moves, signed beforehand. They
are sent one a request, by many agents at once (``alone``), and by a few agents that hold many sessions each,
one move of each of them a request (``together``, POST /v1/moves). All sessions are with one machine, each by
a renter of its own, so none of them ends in the one rental that a machine can serve at a time.

A round lasts until the machine was told of every move. ``cpu_ms_per_session`` is the processor time of the
platform's services and gateway, ``all_cpu_ms_per_session`` with broker, ingests, chain, and the stack's
servers; ``cpu_ms_by_process`` has each, ``generator_cpu_ms_per_session`` is this client's own. A machine that
is busy with other things changes them less than sessions a second, but at several times its cores by half. At
the end every session is replayed from its documents, and its reservation is looked for. The last line is
one JSON object; its first figures are those of ``together``. What was answered with 503, nothing done, is
sent again, and counted as ``retried``. Ends with 1 where anything went wrong.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from hireling.platform_client import PlatformClient
from hireling.rental.session_document import SessionDocument, verify_session
from hireling.rental.signing import Secp256k1Key
from loadtests.bench.bargaining import ROUNDS, Parties, Session, a_machine, a_session
from loadtests.bench.processes import cpu_seconds, family
from loadtests.bench.rig import say
from services.chassis.database import Database, open_database
from services.embedded.marketplace import DATABASES, Marketplace
from services.embedded.settings import EmbeddedSettings
from services.embedded.stack_market import StackMarketplace, StackServers, StackSettings
from tests.e2e.ports import free_ports

WARM_UP = 16
MOVES = ROUNDS + 3
# What answers requests: one process, or one each.
SERVING = frozenset({"platform", *DATABASES})
TOLD_WITHIN_SECONDS = 300.0
RETRY_SECONDS = 0.2
HEADERS = {"Content-Type": "application/json"}


class Tally:
    """How long moves took, and what went wrong with them."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.retried = 0

    async def answer(self, http: httpx.AsyncClient, path: str, content: bytes | str) -> httpx.Response:
        """Post until it is answered: 503 says that nothing was done, and an agent tries again."""
        while True:
            answer = await http.post(path, content=content, headers=HEADERS)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            self.retried += 1
            await asyncio.sleep(RETRY_SECONDS * random.random())

    def figures(self) -> dict[str, Any]:
        """Return the figures of all moves."""
        return {
            "p50_ms": round(statistics.median(self.latencies) * 1000, 1),
            "p99_ms": round(statistics.quantiles(self.latencies, n=100)[98] * 1000, 1),
            "retried": self.retried,
            "errors": len(self.errors),
        }


Play = Callable[[httpx.AsyncClient, Sequence[Session], Tally], Awaitable[None]]


@contextmanager
def a_marketplace(home: Path, *, make: Callable[[Path], Marketplace]) -> Iterator[Marketplace]:
    """Run a marketplace that lets one client ask as often as it likes."""
    os.environ["GATEWAY_RATE_LIMIT"] = "1000000/second"
    market = make(home)
    market.start()
    try:
        yield market
    finally:
        market.stop()


def embedded(home: Path) -> Marketplace:
    """Return an embedded marketplace."""
    gateway, mqtt, chain = free_ports(3)
    settings = EmbeddedSettings(hireling_home=home, gateway_port=gateway, mqtt_port=mqtt, chain_port=chain)
    return Marketplace(settings, say=say)


def on_stack(home: Path) -> Marketplace:
    """Return a marketplace on the servers of `infra/stack.py run`."""
    gateway, chain = free_ports(2)
    settings = StackServers().settings(hireling_home=home, gateway_port=gateway, chain_port=chain)
    return StackMarketplace(settings, say=say)


def alone(at_once: int) -> Play:
    """Send one move a request, of so many sessions at once."""

    async def play(http: httpx.AsyncClient, sessions: Sequence[Session], tally: Tally) -> None:
        waiting = iter(sessions)

        async def work() -> None:
            for session in waiting:
                for move in session.moves:
                    began = time.perf_counter()
                    answer = await tally.answer(http, move.path, move.document.encode())
                    tally.latencies.append(time.perf_counter() - began)
                    if answer.is_error:
                        tally.errors.append(f"{move.path}: {answer.status_code} {answer.text}")

        await asyncio.gather(*(work() for _ in range(at_once)))

    return play


def together(agents: int, each: int) -> Play:
    """Send one move of each of ``each`` sessions a request, by so many agents at once."""

    async def play(http: httpx.AsyncClient, sessions: Sequence[Session], tally: Tally) -> None:
        waiting = iter([sessions[at : at + each] for at in range(0, len(sessions), each)])

        async def work() -> None:
            for held in waiting:
                for place in range(MOVES):
                    moves = ",".join(session.moves[place].among_others for session in held)
                    began = time.perf_counter()
                    answer = await tally.answer(http, "/v1/moves", f'{{"moves":[{moves}]}}')
                    tally.latencies.extend([time.perf_counter() - began] * len(held))
                    answered = [answer.text] * len(held) if answer.is_error else answer.json()["answers"]
                    tally.errors.extend(str(each) for each in answered if not _is_done(each))

        await asyncio.gather(*(work() for _ in range(agents)))

    return play


async def a_round(market: Marketplace, sessions: Sequence[Session], play: Play) -> dict[str, Any]:
    """Host the sessions until everybody was told; return how it went."""
    tally, before, own = Tally(), _cpu_seconds(market), cpu_seconds(os.getpid())
    async with httpx.AsyncClient(base_url=market.settings.gateway_url, timeout=60) as http:
        began = time.perf_counter()
        await play(http, sessions, tally)
        answered = time.perf_counter() - began
    await _until_told(market)
    seconds = time.perf_counter() - began
    own = cpu_seconds(os.getpid()) - own
    spent = {name: after - before[name] for name, after in _cpu_seconds(market).items()}
    by_process = {name: round(each * 1000 / len(sessions), 1) for name, each in spent.items()}
    serving = sum(each for name, each in spent.items() if name in SERVING)
    for error in tally.errors[:3]:
        say(f"ERROR {error[:300]}")
    return {
        "sessions_per_second": round(len(sessions) / seconds, 1),
        "cpu_ms_per_session": round(serving * 1000 / len(sessions), 1),
        "all_cpu_ms_per_session": round(sum(spent.values()) * 1000 / len(sessions), 1),
        "generator_cpu_ms_per_session": round(own * 1000 / len(sessions), 1),
        "cpu_ms_by_process": by_process,
        "answered_per_second": round(len(sessions) / answered, 1),
        **tally.figures(),
    }


async def check(market: Marketplace, sessions: Sequence[Session]) -> int:
    """Return how many sessions are not as they should be: nine offers that replay, signed, reserved."""
    wrong = 0
    async with httpx.AsyncClient(base_url=market.settings.gateway_url, timeout=60) as http:
        for session in sessions:
            view = (await http.get(f"/v1/quotes/{session.quote_id}")).json()
            documents = (await http.get(f"/v1/quotes/{session.quote_id}/documents")).text
            document = SessionDocument.model_validate_json(documents)
            verify_session(document)
            wrong += len(document.offers) != ROUNDS + 1 or view["signed_by"] != ["owner"]
    reserved = _counted(market, "negotiation", "SELECT count(*) FROM mandate_reservation")
    return wrong + abs(reserved - len(sessions))


async def measure(market: Marketplace, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of each way's median round, and check all that was hosted."""
    platform = PlatformClient(market.settings.gateway_url)
    parties = Parties(*(Secp256k1Key.generate() for _ in range(3)))
    hosted: list[Session] = []
    ways = {
        "alone": alone(options.at_once),
        "together": together(options.agents, options.sessions_each),
    }
    ways = {way: play for way, play in ways.items() if options.only in {None, way}}
    rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    try:
        facts = await platform.platform()
        presence, listing = await a_machine(platform, facts, parties)
        alive = asyncio.create_task(presence.stay())

        async def host(number: int, play: Play) -> dict[str, Any]:
            sessions = [a_session(listing, facts, parties) for _ in range(number)]
            hosted.extend(sessions)
            return await a_round(market, sessions, play)

        for play in ways.values():
            await host(WARM_UP, play)
        for number in range(options.rounds):
            for way, play in ways.items():
                rounds[way].append(await host(options.sessions, play))
                say(f"round {number}, {way}: {json.dumps(rounds[way][-1])}")
        wrong = await check(market, hosted)
        alive.cancel()
        await asyncio.gather(alive, return_exceptions=True)
    finally:
        await platform.close()
    errors = sum(each["errors"] for played in rounds.values() for each in played)
    first, *others = [(way, _median(played)) for way, played in reversed(rounds.items())]
    return {
        **first[1],
        "errors": errors,
        "checked": len(hosted),
        "wrong": wrong,
        "rounds_each": ROUNDS,
        "on": "stack" if options.stack else "embedded",
        "sessions_at_once": options.agents * options.sessions_each,
        **{way: {"sessions_at_once": options.at_once, **figures} for way, figures in others},
    }


async def _until_told(market: Marketplace) -> None:
    """Wait until the machine was told of everything."""
    deadline = time.monotonic() + TOLD_WITHIN_SECONDS
    while _counted(market, "negotiation", "SELECT count(*) FROM outbox WHERE sent_at IS NULL") or _counted(
        market, "metering", "SELECT count(*) FROM downlink WHERE published_at IS NULL"
    ):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not told within {TOLD_WITHIN_SECONDS} s")
        await asyncio.sleep(0.02)


def _counted(market: Marketplace, service: str, query: str) -> int:
    settings = market.settings
    url = f"sqlite:///{settings.home / service}.db"
    if isinstance(settings, StackSettings):
        url = settings.databases[service]
    with _opened(url).snapshot() as session:
        return int(session.execute(text(query)).scalar_one())


@lru_cache
def _opened(url: str) -> Database:
    return open_database(url)


def _cpu_seconds(market: Marketplace) -> dict[str, float]:
    """Return the processor time so far of all processes, by name, and of the servers together."""
    pids = {child.name: family(child.process.pid) for child in market.children if child.process is not None}
    if isinstance(market, StackMarketplace):
        # They are children of who started this process.
        own = {*family(os.getpid())}
        pids["servers"] = [pid for pid in family(os.getppid())[1:] if pid not in own]
    return {name: sum(map(cpu_seconds, some)) for name, some in pids.items()}


def _is_done(answer: Any) -> bool:
    return isinstance(answer, dict) and answer["outcome"] == "done"


def _median(played: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(played, key=lambda figures: float(figures["sessions_per_second"]))[len(played) // 2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=256, help="sessions a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--at-once", type=int, default=16, help="sessions at once, one move a request")
    parser.add_argument("--agents", type=int, default=2, help="agents at once that hold many sessions each")
    parser.add_argument("--sessions-each", type=int, default=64, help="sessions that such an agent holds")
    parser.add_argument(
        "--only", choices=["alone", "together"], help="one of the two ways; both unless given"
    )
    parser.add_argument("--stack", action="store_true", help="inside `infra/stack.py run`")
    options = parser.parse_args()
    make = on_stack if options.stack else embedded
    with tempfile.TemporaryDirectory() as folder, a_marketplace(Path(folder), make=make) as market:
        figures = asyncio.run(measure(market, options))
    print(json.dumps(figures))
    sys.exit(1 if figures["errors"] or figures["wrong"] else 0)


if __name__ == "__main__":
    main()
