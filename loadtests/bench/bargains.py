"""How many bargaining sessions the marketplace hosts: ``make bench-bargains``, ``ARGS=--help``.

An embedded marketplace with its chain, broker and gateway, as `make up` starts it, and a client in this
process on the same cores. Each session is a question, the first offer, eight counter-offers and the owner's
signature over the last of them, which reserves at the mandate ledger: eleven requests, everything in them
signed beforehand. All sessions are with one machine, each by a renter of its own, so none of them ends in the
one rental that a machine can serve at a time. ``cpu_ms_per_session`` is the platform's processor time, which
a loaded machine does not change much. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hireling.clock import SystemClock
from hireling.device.offering import Wishes
from hireling.device.presence import Presence
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView
from hireling.rental.offer import (
    Offer,
    QuoteRequest,
    agreement_from,
    counter,
    first_offer,
    quote_of,
    sign_offer,
)
from hireling.rental.session_document import quote_id_of
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.table import Table
from hireling.rental.typed_data import to_hex
from loadtests.bench.processes import cpu_seconds
from loadtests.bench.rig import say
from services.embedded.marketplace import Marketplace
from services.embedded.settings import EmbeddedSettings
from tests.e2e.deal import MACHINE
from tests.e2e.ports import free_ports

ROUNDS = 8
WARM_UP = 10
GOOD_FOR_SECONDS = 590
Call = tuple[str, bytes]


@dataclass(frozen=True)
class Parties:
    """The machine's owner and its agent."""

    owner: Secp256k1Key
    agent: Secp256k1Key
    meter: Secp256k1Key


@contextmanager
def a_marketplace(home: Path) -> Iterator[Marketplace]:
    """Run an embedded marketplace that lets one client ask as often as it likes."""
    gateway, mqtt, chain = free_ports(3)
    os.environ["GATEWAY_RATE_LIMIT"] = "1000000/second"
    settings = EmbeddedSettings(hireling_home=home, gateway_port=gateway, mqtt_port=mqtt, chain_port=chain)
    market = Marketplace(settings, say=say)
    market.start()
    try:
        yield market
    finally:
        market.stop()


async def a_machine(
    platform: PlatformClient, facts: PlatformView, parties: Parties
) -> tuple[Presence, ListingView]:
    """Register and list a machine."""
    presence = Presence(
        platform=platform,
        facts=facts,
        machine=MACHINE,
        wishes=Wishes(),
        owner=parties.owner,
        agent=parties.agent,
        meter=parties.meter,
        clock=SystemClock(),
        announce=lambda *_, **__: None,
    )
    await presence.arrive()
    (listing,) = await platform.listings()
    return presence, listing


def a_session(listing: ListingView, facts: PlatformView, parties: Parties) -> Sequence[Call]:
    """Return the requests of one session, signed."""
    wallet, session, now = Secp256k1Key.generate(), Secp256k1Key.generate(), SystemClock().now()
    document, domain = listing.document, facts.terms.domain
    request = QuoteRequest(
        device=document.device,
        listing=listing.listing,
        renter=wallet.identity,
        renter_agent=session.identity,
        seconds=600,
        start_at=int(now.timestamp()),
    )
    quote_id = quote_id_of(request)
    question = {
        "request": request.model_dump(mode="json"),
        "signature": to_hex(sign(session, domain, quote_of(request))),
    }
    calls = [("/v1/quotes", json.dumps(question).encode())]
    first = first_offer(document, request, facts.terms, now, secrets.token_bytes(32), quote_id)
    hashed = b""
    offer = Offer.model_validate({**dict(first), "valid_until": int(now.timestamp()) + GOOD_FOR_SECONDS})
    table, places = Table(listing=document, request=request), len(document.agenda.price)
    for number in range(ROUNDS + 1):
        if number:
            # The owner gives way from the top of the agenda, the renter from its end.
            place = number if number % 2 == 0 else places - number
            terms = table.terms((place, number % 3, 0, number % 4, number % 4))
            offer = counter(offer, terms=terms, now=now, valid_for=GOOD_FOR_SECONDS)
        signed = sign_offer(parties.agent if number % 2 == 0 else session, offer)
        calls.append((f"/v1/quotes/{quote_id}/offers", signed.model_dump_json().encode()))
        hashed = signed.hash
    agreement = {
        "quote_id": quote_id,
        "by": "owner",
        "offer": to_hex(hashed),
        "signature": to_hex(sign(parties.agent, domain, agreement_from(offer))),
    }
    return [*calls, ("/v1/agreements", json.dumps(agreement).encode())]


async def play(gateway: str, sessions: Sequence[Sequence[Call]], *, at_once: int) -> dict[str, Any]:
    """Host the sessions, so many at once; return how it went."""
    waiting, latencies = iter(sessions), []
    headers = {"Content-Type": "application/json"}
    async with httpx.AsyncClient(base_url=gateway, timeout=60) as http:

        async def work() -> None:
            for session in waiting:
                for path, body in session:
                    began = time.perf_counter()
                    answer = await http.post(path, content=body, headers=headers)
                    latencies.append(time.perf_counter() - began)
                    if answer.is_error:
                        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(at_once)))
        seconds = time.perf_counter() - began
    return {
        "sessions_per_second": round(len(sessions) / seconds, 1),
        "requests_per_second": round(len(latencies) / seconds, 1),
        "p50_ms": round(statistics.median(latencies) * 1000, 1),
        "p99_ms": round(statistics.quantiles(latencies, n=100)[98] * 1000, 1),
    }


async def measure(market: Marketplace, options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of the median round."""
    gateway = market.settings.gateway_url
    process = market.platform.process
    pid = process.pid if process is not None else 0
    platform = PlatformClient(gateway)
    parties = Parties(*(Secp256k1Key.generate() for _ in range(3)))
    try:
        facts = await platform.platform()
        presence, listing = await a_machine(platform, facts, parties)
        alive = asyncio.create_task(presence.stay())
        await play(gateway, [a_session(listing, facts, parties) for _ in range(WARM_UP)], at_once=2)
        rounds = []
        for number in range(options.rounds):
            sessions = [a_session(listing, facts, parties) for _ in range(options.sessions)]
            before = cpu_seconds(pid)
            played = await play(gateway, sessions, at_once=options.at_once)
            spent_ms = (cpu_seconds(pid) - before) * 1000 / len(sessions)
            rounds.append({**played, "cpu_ms_per_session": round(spent_ms, 1)})
            say(f"round {number}: {json.dumps(rounds[-1])}")
        alive.cancel()
        await asyncio.gather(alive, return_exceptions=True)
    finally:
        await platform.close()
    middle = sorted(rounds, key=lambda figures: float(figures["sessions_per_second"]))[len(rounds) // 2]
    return {"sessions_at_once": options.at_once, "rounds_each": ROUNDS, **middle}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=100, help="sessions a round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts")
    parser.add_argument("--at-once", type=int, default=16, help="sessions at once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, a_marketplace(Path(folder)) as market:
        figures = asyncio.run(measure(market, options))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
