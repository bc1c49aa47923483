"""From readings to a proof anyone checks: the services, the gateway and the command, on a real chain.

Midnight comes by the clock that the services are handed.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import eventlet
import pytest
from sqlmodel import col, select, update

from hireling.rental import merkle
from hireling.rental.agreement import SignedAgreement
from hireling.rental.anchoring import day_of, device_leaf, device_root, end_of
from hireling.rental.reading import SignedReading, reading_hash
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import open_database
from services.chassis.wsgi import serve
from services.gateway.unreadable import answer_of
from services.listing.service import Listing
from services.metering.models import ClosedDay, DeviceDayRow, ReadingRun
from services.metering.service import Metering
from services.negotiation.service import Negotiation
from services.settlement.service import Settlement
from tests.builders import ARBITER, FEE_TO, NOW, a_reading_chain, platform_terms
from tests.chain import DevChain, free_port
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, running_front, sqlite_urls
from tests.integration.metering.books import Books, Clerk

REAL = (Listing, Negotiation, Metering, Settlement)
HIRELING = Path(sys.executable).with_name("hireling")
GRACE_SECONDS = 5
DAY = day_of(NOW)
EVENING = end_of(DAY) - timedelta(minutes=1)
PATIENCE = 60.0


@dataclass
class Market:
    """A running marketplace on a chain, one rental of which has readings."""

    front: Front[FixedClock]
    chain: DevChain
    books: Books
    gateway: str

    @property
    def rental_id(self) -> str:
        """Return the rental's id as it travels."""
        return self.books.rental_id

    def until(self, condition: Any) -> None:
        """Let the marketplace run, and the chain grow, until the condition holds."""
        steps = iter(range(1_000_000))

        def met() -> bool:
            if next(steps) % 20 == 0:
                self.chain.mine()
            return bool(condition())

        self.front.platform.wait_until(met, timeout=PATIENCE)

    def pass_midnight(self) -> None:
        """Move the clock to where the day is closed."""
        to_go: timedelta = end_of(DAY) - self.front.clock.now()
        self.front.clock.advance(seconds=to_go.total_seconds() + GRACE_SECONDS)

    def announcement(self) -> Any:
        """Return where the device's newest root is."""
        items = self.front.get(f"/v1/devices/{self.books.device}/days")["items"]
        return items[0]["announcement"] if items else None

    def proof(self, seq: int, *options: str) -> tuple[int, str, str]:
        """Run `hireling proof`; return its exit code and what it said."""
        command = [str(HIRELING), "proof", self.rental_id, str(seq), "--gateway", self.gateway, *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            # The marketplace that answers it runs in this very process.
            self.front.platform.wait_until(lambda: process.poll() is not None, timeout=PATIENCE)
            said, failed = process.communicate()
        return process.returncode, said, failed

    def lie(self, statement: Any) -> None:
        """Change metering's rows as no code of the marketplace would."""
        with self.books.database.unit_of_work() as session:
            session.execute(statement)


@pytest.fixture
def market(chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    """Run everything on a clock that stands still, with six readings that arrived before midnight."""
    contracts, port = chain.deployment, free_port()
    terms = platform_terms(chain_id=contracts.chain_id, escrow=contracts.escrow, token=contracts.token)
    settings = {
        "HIRELING_HOME": str(tmp_path),
        "HIRELING_RPC_URL": chain.rpc_url,
        "HIRELING_DEPLOYMENT": str(contracts.path),
        "SETTLEMENT_FEE_TO": f"0x{FEE_TO.hex()}",
        "SETTLEMENT_ARBITER": f"0x{ARBITER.hex()}",
        "SETTLEMENT_CONFIRMATIONS": "1",
        "METERING_DAY_GRACE_SECONDS": str(GRACE_SECONDS),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    urls, clock = sqlite_urls(tmp_path), FixedClock(NOW)
    rows = open_database(urls["metering"])
    with running_front(urls, clock=clock, services=REAL, terms=terms, registry=contracts.registry) as front:
        server = eventlet.spawn(
            serve, front.client.application, host="127.0.0.1", port=port, unreadable=answer_of
        )
        rental_id = agreed(front, chain)
        signed = SignedAgreement.model_validate_json(
            front.client.get(f"/v1/agreements/{rental_id}").get_data()
        )
        books = Books(rows, signed)
        measure(books, at=EVENING)
        yield Market(front, chain, books, f"http://127.0.0.1:{port}")
        server.kill()
    rows.close()


def agreed(front: Front[FixedClock], chain: DevChain) -> str:
    """Return a rental that both sides agreed on, once metering knows it."""
    offer = front.offered(front.offer_for_hire())
    rental_id: str = front.agree(offer)["rental_id"]
    path = f"/v1/rentals/{rental_id}/readings"
    front.platform.wait_until(lambda: front.client.get(path).status_code == 200, timeout=PATIENCE)
    return rental_id


def measure(books: Books, *, at: datetime) -> None:
    """Have six readings of the rental arrive, as ingest takes them."""
    readings = a_reading_chain(6, signed=books.signed)
    Clerk(books).record([books.message(reading, at=at) for reading in readings])


def test_a_reading_is_proven_by_the_chain_and_a_changed_one_refused(market: Market) -> None:
    path = f"/v1/rentals/{market.rental_id}/readings"
    code, _, failed = market.proof(3)
    assert (code, "is closed at 2030-01-02T00:00:05+00:00" in failed) == (4, True)
    assert market.front.client.get(f"{path}/3/proof").status_code == 409
    assert market.front.client.get(f"{path}/6/proof").status_code == 404

    market.pass_midnight()
    market.until(lambda: (market.announcement() or {}).get("transaction"))
    rpc = ("--rpc", market.chain.rpc_url)
    code, said, failed = market.proof(5, *rpc)
    assert (code, failed) == (0, "")
    assert "the proof holds" in said
    code, said, _ = market.proof(2, *rpc, "--json")
    proven = json.loads(said)
    assert (code, proven["event"], proven["seq"]) == (0, "proven", 2)
    assert proven["transaction"] == market.announcement()["transaction"]
    code, _, failed = market.proof(2, "--publisher", "0x" + "11" * 20)
    assert (code, "the marketplace names the publisher" in failed) == (1, True)

    refuses_every_lie(market, rpc)


def hash_of(document: dict[str, Any]) -> str:
    """Return the hash of a reading as it travelled."""
    return to_hex(reading_hash(SignedReading.model_validate(document).reading))


def forged_roots(market: Market) -> tuple[str, str]:
    """Return the roots that the readings would have as they are now."""
    root = device_root([from_hex(hash_of(wire)) for wire in market.books.accepted()])
    leaf = device_leaf(from_hex(market.books.device), root, 6)
    return to_hex(root), to_hex(merkle.root([leaf]))


def refuses_every_lie(market: Market, rpc: tuple[str, str]) -> None:
    """See each thing that a marketplace could change afterwards be found out, one after the other."""
    with market.books.database.snapshot() as session:
        run = session.exec(select(ReadingRun)).one()
    document = json.loads(run.document)
    forged = document["readings"][3]
    forged["reading"]["amount_due"] = str(int(forged["reading"]["amount_due"]) + 1)
    hashes = run.hashes[: 3 * 32] + from_hex(hash_of(forged)) + run.hashes[4 * 32 :]

    market.lie(update(ReadingRun).values(document=json.dumps(document)))
    code, _, failed = market.proof(3, *rpc)
    assert (code, "reading 3 hashes to" in failed) == (1, True)

    # Its hash is changed with it: the path leads elsewhere.
    market.lie(update(ReadingRun).values(hashes=hashes))
    code, _, failed = market.proof(3, *rpc)
    assert (code, "does not lead to the device's root" in failed) == (1, True)

    # And all roots with it: everything holds, but for what the chain says.
    device_root, day_root = forged_roots(market)
    market.lie(update(DeviceDayRow).values(root=device_root))
    market.lie(update(ClosedDay).where(col(ClosedDay.day) == DAY).values(root=day_root))
    code, said, _ = market.proof(3)
    assert (code, "is the marketplace's word" in said) == (0, True)
    code, _, failed = market.proof(3, *rpc)
    assert (code, "the chain holds root" in failed) == (1, True)
