"""Letting in what was checked a moment ago: what changed since counts."""

import pytest

from hireling.rental.access import NO_RENTAL, sign_access
from hireling.rental.broker_users import device_user, renter_user
from hireling.rental.signing import Secp256k1Key
from hireling.rental.typed_data import from_hex
from services.messages.errors import Refused
from services.messages.events.settlement import MeterChanged
from services.metering.access import new_challenge
from services.metering.applying import Applicant
from services.metering.granting import let_in, note_meter
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from tests.builders import DOMAIN, METER_KEY, NOW, RENTER_AGENT_KEY
from tests.integration.metering.books import LATER, Books


def ask(books: Books, key: Secp256k1Key, *, rental_id: str | None = None) -> str:
    """Ask for a password as whoever was checked; return it. Raises Refused."""
    wish = sign_access(
        key,
        DOMAIN,
        new_challenge("mqtt://broker:1883", now=NOW),
        device=from_hex(books.device),
        rental_id=NO_RENTAL if rental_id is None else from_hex(rental_id),
    )
    name = device_user(books.device) if rental_id is None else renter_user(books.device)
    applicant = Applicant(name, device=books.device, signer=key.identity, rental_id=rental_id)
    with books.database.unit_of_work() as session:
        return let_in(session, wish, applicant, now=LATER, settings=MeteringSettings()).password


def change_meter(books: Books, key: Secp256k1Key) -> None:
    """Have the chain say that the device's key is another."""
    event = MeterChanged(device=from_hex(books.device), meter=key.identity, block=1, position=0, seen_at=NOW)
    with books.database.unit_of_work() as session:
        note_meter(session, event)


def test_a_device_whose_key_was_replaced_meanwhile_stays_outside(books: Books) -> None:
    new = Secp256k1Key.generate()
    change_meter(books, new)
    with pytest.raises(Refused, match="changed meanwhile"):
        ask(books, METER_KEY)
    assert ask(books, new)


def test_a_renter_whose_rental_ended_meanwhile_stays_outside(books: Books) -> None:
    with books.database.unit_of_work() as session:
        Store(session).finish([books.rental_id], now=LATER)
    with pytest.raises(Refused, match=f"rental {books.rental_id} is over"):
        ask(books, RENTER_AGENT_KEY, rental_id=books.rental_id)


def test_a_renter_of_a_rental_that_goes_on_comes_in(books: Books) -> None:
    assert ask(books, RENTER_AGENT_KEY, rental_id=books.rental_id)
