"""What is told of a session without reading its documents is what its documents say."""

import json
from datetime import timedelta

from hireling.rental.moves import LAST_OFFERS, SessionView
from services.messages.negotiation import WonPrice
from services.negotiation import store
from services.negotiation.models import Quote
from services.negotiation.remembered import Remembered
from services.negotiation.standing import Standing
from services.negotiation.standing_store import standings_of
from services.negotiation.wire import movers_of, written
from tests.builders import NOW
from tests.integration.negotiation.table import Sides, Table
from tests.unit.negotiation.test_delegating import an_order

LATER = NOW + timedelta(hours=2)


def check(table: Table, sides: Sides) -> Standing:
    """Hold what would be told of a session against the session, now and once it has expired."""
    with table.database.snapshot() as session:
        (standing,) = standings_of(session, [sides.quote_id])
        quote = store.load_all(session, [sides.quote_id], Remembered())[sides.quote_id]
    for now in (NOW, LATER):
        told = json.loads(standing.told(now))
        assert told == json.loads(json.dumps(written(quote.at(now).view())))
        SessionView.model_validate(told, strict=False)
    assert standing.movers == movers_of(quote.request)
    return standing


def test_a_session_is_told_as_it_is_at_each_step(table: Table) -> None:
    sides = table.sit_down()
    assert check(table, sides).made == 0
    first = sides.device.first_offer(sides.quote.request, sides.quote.listing, sides.quote_id)
    quote = sides.quote
    for offer in (first, sides.renter.counter_offer(first.offer)):
        quote = quote.with_offer(offer, now=NOW)
        with table.database.unit_of_work() as session:
            store.add_offers(session, [offer], made_at=NOW)
            store.save_all(session, [quote])
        assert check(table, sides).made == len(quote.offers)
    for actor in (sides.device, sides.renter):
        assert quote.last is not None
        quote = quote.with_signature(actor.signature(quote.last.offer), now=NOW)
        with table.database.unit_of_work() as session:
            store.save_all(session, [quote])
            store.add_agreements(session, [quote] if len(quote.signatures) == 2 else [], now=NOW)
        assert len(check(table, sides).signed_by) == len(quote.signatures)
    assert check(table, sides).rental_id is not None


def test_what_an_auction_fixed_is_told(table: Table) -> None:
    sides = table.sit_down()
    won = WonPrice(auction=b"\x01" * 32, amount=7)
    with table.database.unit_of_work() as session:
        row = session.get(Quote, sides.quote_id)
        assert row is not None
        row.won_auction, row.won_amount = f"0x{won.auction.hex()}", str(won.amount)
    assert check(table, sides).won == won


def test_for_whom_a_delegate_speaks_is_told(table: Table) -> None:
    sides, signed = table.sit_down(), an_order().signed
    with table.database.unit_of_work() as session:
        row = session.get(Quote, sides.quote_id)
        assert row is not None
        row.appointment = signed.model_dump(mode="json")
    assert json.loads(check(table, sides).appointment or "null") == signed.model_dump(mode="json")


def test_of_a_long_session_only_the_last_offers_are_read(table: Table) -> None:
    sides = table.sit_down()
    first = sides.device.first_offer(sides.quote.request, sides.quote.listing, sides.quote_id)
    offers = [first]
    for number in range(1, LAST_OFFERS + 5):
        changed = first.offer.model_copy(update={"round": number})
        offers.append(first.model_copy(update={"offer": changed}))
    with table.database.unit_of_work() as session:
        store.add_offers(session, offers, made_at=NOW)
    standing = check(table, sides)
    assert standing.made == LAST_OFFERS + 5
    assert [json.loads(offer)["offer"]["round"] for offer in standing.offers] == [
        str(number) for number in range(5, LAST_OFFERS + 5)
    ]


def test_sessions_that_do_not_exist_are_left_out(table: Table) -> None:
    sides = table.sit_down()
    with table.database.snapshot() as session:
        assert standings_of(session, []) == []
        found = standings_of(session, ["00" * 16, sides.quote_id])
    assert [each.quote_id for each in found] == [sides.quote_id]
