"""A person's data: all of it is read out, what may go is erased, and the accounts stay."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hireling.rental.agreement import SignedAgreement
from hireling.rental.bill import SignedBill
from hireling.rental.typed_data import to_hex
from services.chassis.database import open_database
from services.chassis.people import EVENTS_STAY
from services.chassis.runner import running
from services.listing.service import Listing
from services.messages.errors import Conflict, Invalid
from services.negotiation.models import AgreementRow, OfferRow, Quote
from services.negotiation.service import Negotiation
from services.operator.people import People
from services.settlement.people import ACCOUNTS
from tests.builders import NOW, RENTER_KEY, a_reading_chain
from tests.integration.settlement.market import Market

RENTER = to_hex(RENTER_KEY.identity)
STRANGER = f"0x{'77' * 20}"


@pytest.fixture
def people(market: Market, tmp_path: Path) -> Iterator[People]:
    """Return the operator's means to ask settlement, metering's stand-in, listing and negotiation."""
    databases = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("listing", "negotiation")}
    with running(Listing, Negotiation, bus=market.platform.assembly.bus, databases=databases) as platform:
        yield People(platform.rpc, timeout=20.0)


def billed(market: Market) -> SignedAgreement:
    """Return a rental that is over and billed."""
    signed = market.funded()
    readings = a_reading_chain(5, signed=signed)
    market.use(signed, readings)
    use = readings[-1].reading.amount_due
    market.wait_until(lambda: market.rental(signed).amount_due == use)
    market.close(signed, by="owner", use=use)
    market.close(signed, by="renter", use=use)
    market.bill(signed)
    return signed


def a_session(
    tmp_path: Path, quote_id: str, *, renter: str, status: str, rental_id: str | None = None
) -> None:
    """Keep a bargaining session with one offer, and the agreement that came of it, if one did."""
    nothing: dict[str, Any] = {}
    with (
        closing(open_database(f"sqlite:///{tmp_path}/negotiation.db")) as database,
        database.unit_of_work() as session,
    ):
        session.add(
            Quote(
                quote_id=quote_id,
                device=f"0x{quote_id * 32}",
                renter=renter,
                listing="0x",
                request=nothing,
                document=nothing,
                mandate=nothing,
                terms=nothing,
                status=status,
                asked_at=NOW,
                answer_by=NOW + timedelta(days=36_500),
            )
        )
        session.flush()
        session.add(OfferRow(quote_id=quote_id, round=0, offer=quote_id, signed=nothing, made_at=NOW))
        if rental_id is not None:
            session.add(AgreementRow(rental_id=rental_id, quote_id=quote_id, signed=nothing, agreed_at=NOW))


def rows(tmp_path: Path, service: str, table: str) -> int:
    with closing(sqlite3.connect(tmp_path / f"{service}.db")) as file:
        found: int = file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - ours
        return found


def silent(_: str) -> None:
    """Say nothing."""


def test_all_that_is_held_of_a_person_is_read_out_and_nothing_of_others(
    market: Market, people: People, tmp_path: Path
) -> None:
    signed = billed(market)
    a_session(tmp_path, "aa", renter=RENTER, status="agreed", rental_id=to_hex(signed.rental_id))
    a_session(tmp_path, "bb", renter=STRANGER, status="expired")

    found = people.export(RENTER, tmp_path / "out", now=NOW, say=silent)

    told = json.loads((tmp_path / "out" / "person.json").read_text())
    held = {
        (service, table["table"]): table["rows"]
        for service, tables in told["services"].items()
        for table in tables
    }
    assert [row["rental_id"] for row in held["settlement", "rental"]] == [to_hex(signed.rental_id)]
    assert [row["quote_id"] for row in held["negotiation", "quote"]] == ["aa"]
    assert STRANGER not in (tmp_path / "out" / "person.json").read_text()
    bill = tmp_path / "out" / "bills" / f"{to_hex(signed.rental_id)}.json"
    assert SignedBill.model_validate_json(bill.read_bytes()) == market.bill(signed)
    readings = (tmp_path / "out" / "readings" / f"{to_hex(signed.rental_id)}.jsonl").read_text().splitlines()
    assert len(readings) == 5
    assert {row["table"] for row in found.rows} >= {"rental", "bill", "quote", "agreement"}


def test_what_may_go_is_erased_once_and_the_accounts_stay(
    market: Market, people: People, tmp_path: Path
) -> None:
    signed = billed(market)
    a_session(tmp_path, "aa", renter=RENTER, status="agreed", rental_id=to_hex(signed.rental_id))
    a_session(tmp_path, "bb", renter=RENTER, status="expired")
    a_session(tmp_path, "cc", renter=STRANGER, status="expired")
    bill = market.bill(signed)

    assert "nothing is erased" in people.would_erase(RENTER).summary
    assert rows(tmp_path, "negotiation", "quote") == 3
    first = {(row["service"], row["table"]): row for row in people.erase(RENTER).rows}

    assert first["negotiation", "quote"]["erased"] == first["negotiation", "offer"]["erased"] == 1
    assert first["negotiation", "quote"]["kept"] == 1
    assert rows(tmp_path, "negotiation", "quote") == 2
    kept = first["settlement", "bill"]
    assert (kept["erased"], kept["kept"], kept["kept_because"]) == (0, 1, ACCOUNTS)
    assert first["settlement", "outbox"]["kept_because"] == EVENTS_STAY
    assert market.bill(signed) == bill
    assert market.call("reconcile", None, 200)["differences"] == []
    assert all(row["erased"] == 0 for row in people.erase(RENTER).rows)


def test_the_note_of_an_erasure_does_not_say_whose(market: Market, people: People, tmp_path: Path) -> None:
    signed = billed(market)
    people.erase(RENTER)
    with closing(sqlite3.connect(tmp_path / "settlement.db")) as file:
        ((action, detail),) = file.execute("SELECT action, detail FROM operator_action").fetchall()
    assert action == "erase"
    assert RENTER.removeprefix("0x") not in detail
    assert to_hex(signed.rental_id) not in detail


def test_a_running_rental_is_in_the_way(market: Market, people: People, tmp_path: Path) -> None:
    signed = market.funded()
    a_session(tmp_path, "bb", renter=RENTER, status="expired")
    with pytest.raises(Conflict, match=rf"rentals_running: 1 rentals .*{to_hex(signed.rental_id)}"):
        people.erase(RENTER)
    person = {"address": RENTER}
    with pytest.raises(Conflict, match="rentals_running"):
        market.call("erase_personal_data", person)
    assert rows(tmp_path, "negotiation", "quote") == 1


def test_an_open_session_is_in_the_way(market: Market, people: People, tmp_path: Path) -> None:
    a_session(tmp_path, "bb", renter=RENTER, status="open")
    with pytest.raises(Conflict, match="sessions_open"):
        people.erase(RENTER)


def test_an_address_is_hexadecimal(people: People, market: Market) -> None:
    with pytest.raises(Invalid, match="no address"):
        people.erase("somebody")
