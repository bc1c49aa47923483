"""The legs of a rental: which there are, how long each took, and where they are read from."""

import json
from pathlib import Path

from loadtests.load.legs import Journal, Leg, add_settlement, legs, read_journal, table

RENTAL = "0x" + "11" * 32


def leg(found: list[Leg], start: str, end: str) -> Leg:
    return next(each for each in found if (each.start, each.end) == (start, end))


def test_takes_median_and_late_ones_of_rentals_that_began_in_time() -> None:
    took = [{"renter found": 10.0, "renter quote": 10.0 + tenths / 10} for tenths in range(1, 21)]
    early = {"renter found": 9.0, "renter quote": 99.0}
    found = leg(legs([early, *took], since=10.0), "renter found", "renter quote")
    assert (found.count, round(found.median_ms), round(found.p95_ms)) == (20, 1100, 1900)


def test_leaves_out_what_nobody_said_and_counts_another_order_as_nothing() -> None:
    moments = {"renter found": 1.0, "renter agreed": 3.0, "chain signed open": 2.5}
    found = legs([moments], since=0.0)
    assert leg(found, "renter agreed", "chain signed open").median_ms == 0
    assert leg(found, "renter found", "renter agreed").median_ms == 2000
    assert all("quote" not in each.start for each in found)


def test_reads_both_sides_journals_and_the_log_of_settlement(tmp_path: Path) -> None:
    journal, log = tmp_path / "journal.jsonl", tmp_path / "settlement.log"
    Journal(journal).note(RENTAL, {"renter found": 1.0})
    Journal(journal).note(RENTAL, {"machine funded_seen": 4.0})
    said = {"rental_id": RENTAL, "kind": "open", "timestamp": "1970-01-01T00:00:02Z"}
    told = [
        {**said, "event": "transaction_signed"},
        {**said, "event": "transaction_seen", "status": "mined", "timestamp": "1970-01-01T00:00:03Z"},
        {**said, "event": "transaction_seen", "status": "mined", "timestamp": "1970-01-01T00:00:09Z"},
        {**said, "event": "bill_issued", "rental_id": "0x" + "22" * 32},
    ]
    log.write_text("no json\n" + "".join(f"{json.dumps(line)}\n" for line in told))
    rentals = read_journal(journal)
    add_settlement(rentals, log)
    assert rentals == {
        RENTAL: {
            "renter found": 1.0,
            "machine funded_seen": 4.0,
            "chain signed open": 2.0,
            "chain mined open": 3.0,
        }
    }
    assert "chain mined open" in table(legs(rentals.values(), since=0.0))
