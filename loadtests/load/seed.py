"""Many listed machines, signed as their owners' agents sign, put where the listing service keeps them."""

import hashlib
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from multiprocessing import Pool
from typing import Any, cast

from sqlalchemy import Table, text

from hireling.device.offering import Parties, Wishes, listing_of
from hireling.drivers.driver import Facts, Pricing
from hireling.platform_views import PlatformView
from hireling.rental.documents import document_hash
from hireling.rental.listing import Place, sign_listing
from hireling.rental.mandate import MandateLimits, SignedMandate, sign_mandate
from hireling.rental.signing import Secp256k1Key
from hireling.rental.tariff import CounterSpec
from hireling.rental.typed_data import Domain
from services.chassis.database import open_database
from services.chassis.rows import WrittenJson, insert_rows
from services.listing.models import Device, ListingRow
from services.listing.publication import words_of

JOB = 1_000
DEVICES = cast(Table, Device.__table__)  # type: ignore[attr-defined]  # SQLModel does not tell of it
LISTINGS = cast(Table, ListingRow.__table__)  # type: ignore[attr-defined]
MACHINES_AN_OWNER = 50
KINDS = ("3d-printer", "appliance", "charger", "computer", "drone", "excavator", "robot", "van")
CITIES = (
    ("Berlin", "DE"), ("Wien", "AT"), ("Paris", "FR"), ("Lyon", "FR"), ("Madrid", "ES"), ("Lisboa", "PT"),
    ("Milano", "IT"), ("Roma", "IT"), ("Oslo", "NO"), ("Stockholm", "SE"), ("Helsinki", "FI"),
    ("Praha", "CZ"), ("Warszawa", "PL"), ("Gent", "BE"), ("Utrecht", "NL"), ("Aarhus", "DK"),
    ("Dublin", "IE"), ("Leeds", "GB"), ("Austin", "US"), ("Denver", "US"),
)  # fmt: skip
MAKERS = ("Bosch", "Prusa", "Makita", "Miele", "Fendt", "Kuka", "Festool", "Trumpf", "Hilti", "Stihl")
UNBOUNDED = (1 << 96) - 1
ONE_AND_ONLY = bytes(32)


def seed(url: str, facts: PlatformView, count: int, *, now: datetime) -> float:
    """Make so many machines known and listed in the listing service's database; return the seconds taken.

    They are as `POST /v1/devices` and `POST /v1/listings` would leave them: each document, hash, signature
    and mandate holds, and each machine gave a sign of life within the last two hours.
    """
    began = time.monotonic()
    jobs = [(facts.model_dump_json(), start, min(JOB, count - start), now) for start in range(0, count, JOB)]
    database = open_database(url)
    try:
        with Pool() as pool:
            for devices, listings in pool.imap(_rows, jobs):
                with database.queue_work() as session:
                    insert_rows(session, DEVICES, devices)
                    insert_rows(session, LISTINGS, listings)
        with database.engine.connect() as connection:
            # As its own daemon would have, in a marketplace that grew for longer than a minute.
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM (ANALYZE)"))
    finally:
        database.close()
    return time.monotonic() - began


def _rows(job: tuple[str, int, int, datetime]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    told, first, count, now = job
    facts = PlatformView.model_validate_json(told)
    made = list(_machines(facts, first, count, now))
    return [device for device, _ in made], [listing for _, listing in made]


def _machines(
    facts: PlatformView, first: int, count: int, now: datetime
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    domain = Domain(chain_id=facts.chain_id, escrow=facts.escrow)
    owner = agent = Secp256k1Key.generate()
    mandate: SignedMandate | None = None
    for number in range(first, first + count):
        if mandate is None or number % MACHINES_AN_OWNER == 0:
            owner, agent = Secp256k1Key.generate(), Secp256k1Key.generate()
            mandate = _mandate(owner, agent, facts, now=now)
        chance = random.Random(number)
        meter = Secp256k1Key(hashlib.sha256(f"listed machine {number}".encode()).digest())
        parties = Parties(owner=owner.identity, owner_agent=agent.identity, meter=meter.identity)
        document = listing_of(
            _facts_of(number, chance),
            Wishes(price=f"{chance.randrange(5, 200) / 100:.2f}"),
            parties=parties,
            token=facts.money,
            now=now,
        )
        city, country = chance.choice(CITIES)
        document = document.model_copy(update={"place": Place(city=city, country=country)})
        listing, device = f"0x{document_hash(document).hex()}", f"0x{parties.device.hex()}"
        listed_at = now - timedelta(seconds=chance.randrange(12 * 3600))
        yield (
            {
                "device": device,
                "owner": f"0x{owner.identity.hex()}",
                "owner_agent": f"0x{agent.identity.hex()}",
                "meter": f"0x{meter.identity.hex()}",
                "mandate": WrittenJson(mandate.model_dump_json()),
                "possession_valid_until": int(now.timestamp()) + 3600,
                "admitted_at": listed_at,
                "registered": True,
                "tx_hash": None,
                "heartbeat_at": int(now.timestamp()),
                "last_seen": now - timedelta(seconds=chance.randrange(7200)),
                "listing": listing,
                "meter_seen_at": None,
            },
            {
                "listing": listing,
                "device": device,
                "kind": document.kind,
                "words": words_of(document),
                "document": WrittenJson(document.model_dump_json()),
                "signature": f"0x{sign_listing(agent, domain, document).signature.hex()}",
                "valid_until": document.valid_until,
                "published_at": listed_at,
            },
        )


def _facts_of(number: int, chance: random.Random) -> Facts:
    return Facts(
        kind=chance.choice(KINDS),
        title=f"{chance.choice(MAKERS)} {number}",
        description="A machine that was listed before the load begins.",
        time_factor=1,
        counters=(CounterSpec(name="energy_mJ", unit="mJ", max_per_second=3_000_000),),
        step=(3_000_000,),
        pricing=Pricing(
            counter="energy_mJ", per=3_600_000_000, unit="kWh", default="0.40", default_flat="0.05"
        ),
        ceiling_seconds=60,
        default_seconds=600,
    )


def _mandate(
    owner: Secp256k1Key, agent: Secp256k1Key, facts: PlatformView, *, now: datetime
) -> SignedMandate:
    limits = MandateLimits(
        per_rental=UNBOUNDED,
        total=UNBOUNDED,
        max_rate_per_hour=UNBOUNDED,
        arbiters=(facts.arbiter,),
        tokens=(facts.token.address,),
        max_fee_bps=1000,
        longest_notice=3600,
        longest_claim_window=3600,
        longest_challenge_window=3600,
    )
    return sign_mandate(
        owner,
        Domain(chain_id=facts.chain_id, escrow=facts.escrow),
        agent=agent.identity,
        limits=limits,
        valid_until=int((now + timedelta(days=365)).timestamp()),
        revocation=ONE_AND_ONLY,
    )
