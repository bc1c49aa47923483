"""Sessions that a process remembers while others carry them on."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.negotiation import delegate_store, store
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession
from tests.builders import NOW
from tests.integration.negotiation.table import Sides, Table
from tests.unit.negotiation.test_delegating import an_order


@pytest.fixture
def sides(table: Table) -> Sides:
    """Sit down, and nobody has offered anything yet."""
    return table.sit_down()


def load(table: Table, sides: Sides, remembered: Remembered) -> QuoteSession:
    """Return the session as whoever remembers this finds it."""
    with table.database.snapshot() as session:
        return store.load_all(session, [sides.quote_id], remembered)[sides.quote_id]


def carry_on(table: Table, quote: QuoteSession) -> None:
    """Keep a session's last offer, and its state, as another process would."""
    assert quote.last is not None
    with table.database.unit_of_work() as session:
        store.add_offers(session, [quote.last], made_at=NOW)
        store.save_all(session, [quote])


@pytest.mark.parametrize("looks_after", [1, 2])
def test_one_that_others_carried_on_is_read_on(table: Table, sides: Sides, looks_after: int) -> None:
    remembered = Remembered()
    quote = load(table, sides, remembered)
    first = sides.device.first_offer(quote.request, quote.listing, quote.quote_id)
    for number, offer in enumerate((first, sides.renter.counter_offer(first.offer)), start=1):
        quote = quote.with_offer(offer, now=NOW)
        carry_on(table, quote)
        if number >= looks_after:
            found = load(table, sides, remembered)
            assert found == load(table, sides, Remembered())
            assert found.offers == quote.offers


def test_one_that_a_delegate_speaks_in_since_is_read_anew(table: Table, sides: Sides) -> None:
    remembered = Remembered()
    quote = load(table, sides, remembered)
    first = sides.device.first_offer(quote.request, quote.listing, quote.quote_id)
    carry_on(table, quote.with_offer(first, now=NOW))
    appointment = an_order().signed
    with table.database.unit_of_work() as session:
        delegate_store.note_spoken_for(session, [replace(quote, appointment=appointment)])
    found = load(table, sides, remembered)
    assert (found.appointment, found.offers) == (appointment, (first,))


def test_one_of_a_database_that_was_put_back_is_read_anew(table: Table, sides: Sides) -> None:
    remembered = Remembered()
    quote = load(table, sides, remembered)
    first = sides.device.first_offer(quote.request, quote.listing, quote.quote_id)
    remembered.note([quote.with_offer(first, now=NOW + timedelta(seconds=1))])
    assert load(table, sides, remembered).offers == ()
