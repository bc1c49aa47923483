"""Each table of each service is either asked about a person, or named here with why it has nothing of one."""

from contextlib import closing

import pytest
from sqlalchemy import MetaData

from services.chassis.database import open_database
from services.chassis.people import Held, erase, read_out
from services.chassis.tables import CHASSIS_METADATA
from services.listing.models import ListingTable
from services.listing.people import TABLES as LISTING
from services.messages.people import Person
from services.metering.models import MeteringTable
from services.metering.people import TABLES as METERING
from services.negotiation.models import NegotiationTable
from services.negotiation.people import TABLES as NEGOTIATION
from services.settlement.models import SettlementTable
from services.settlement.people import TABLES as SETTLEMENT
from tests.builders import NOW

NOBODY = Person(address="0xaa", rental_ids=("0xbb",), quote_ids=("cc",), devices=("0xdd",))
# Why each has nothing that is about one person, as docs/privacy.md says it.
IMPERSONAL = {
    "listing": frozenset[str](),
    "negotiation": frozenset(
        {
            "auction",  # names keys made for one auction
            "auction_entry",  # the same
            "auctioned_device",  # a machine, while it is let
        }
    ),
    "metering": frozenset(
        {
            "downlink",  # goes within a week
            "closed_day",  # a root over all machines
            "device_day",  # a root over a machine's readings
            "rolled_up",  # how far a sum has come
            "broker_account",  # a machine's name at the broker, and a key made for one rental
            "broker_change",
        }
    ),
    "settlement": frozenset(
        {
            "attempt",  # what the platform itself signed
            "seen_block",
            "device",  # a machine
            "lease",
            "opens_pause",
            "relayer",  # keys of our own
            "operator_action",
        }
    ),
}
SERVICES = [
    ("listing", LISTING, ListingTable.metadata),
    ("negotiation", NEGOTIATION, NegotiationTable.metadata),
    ("metering", METERING, MeteringTable.metadata),
    ("settlement", SETTLEMENT, SettlementTable.metadata),
]


@pytest.mark.parametrize(("service", "tables", "metadata"), SERVICES)
def test_no_table_is_forgotten(service: str, tables: list[Held], metadata: MetaData) -> None:
    asked = {held.table.name for held in tables} - {"outbox"}
    assert asked | IMPERSONAL[service] == set(metadata.tables)
    assert not asked & IMPERSONAL[service]


@pytest.mark.parametrize(("service", "tables", "metadata"), SERVICES)
def test_every_table_can_be_asked_and_erased(service: str, tables: list[Held], metadata: MetaData) -> None:
    with closing(open_database("sqlite://")) as database:
        with database.engine.execution_options(hireling_writes=True).begin() as connection:
            metadata.create_all(connection)
            CHASSIS_METADATA.create_all(connection)
        with database.unit_of_work() as session:
            assert all(not held.rows for held in read_out(session, tables, NOBODY))
            assert all((done.erased, done.kept) == (0, 0) for done in erase(session, tables, NOBODY, now=NOW))
