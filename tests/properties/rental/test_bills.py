"""What must hold for any rental's bill, and for any alteration of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hireling.rental.bill import SignedBill, make_bill, sign_bill, verify_bill
from hireling.rental.ceiling import next_ceiling, sign_ceiling
from hireling.rental.errors import BillInvalid
from hireling.rental.tariff import Tariff
from tests.builders import (
    NOW,
    PLATFORM_KEY,
    RENTER_AGENT_KEY,
    a_listing,
    a_reading_chain,
    a_request,
    an_offer,
    signed_agreement,
)
from tests.properties.rental.strategies import tariffs_with_counters
from tests.vectors.bills import a_signed_bill, altered

BILL = json.loads(a_signed_bill(n=8).model_dump_json())


def paths_in(value: Any, prefix: str = "") -> Iterator[str]:
    """Return the path of every value that is neither a list nor an object."""
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for name, each in inner:
            yield from paths_in(each, f"{prefix}/{name}" if prefix else str(name))
    else:
        yield prefix


def value_at(document: Any, path: str) -> Any:
    for name in path.split("/"):
        document = document[int(name) if isinstance(document, list) else name]
    return document


def other_than(value: Any) -> Any:
    """Return another value of the same form: a digit, a letter or a truth turned."""
    if isinstance(value, bool):
        return not value
    if value is None:
        return "1"
    if isinstance(value, int):
        return value + 1
    return value[:-1] + ("1" if value[-1] == "0" else "0")


READING_PATHS = [path for path in paths_in(BILL) if path.startswith("bill/readings/")]
PATHS = [path for path in paths_in(BILL) if value_at(BILL, path) is not None]


class TestAlteration:
    @pytest.mark.parametrize("path", READING_PATHS)
    def test_of_any_field_of_any_reading_fails_at_that_reading(self, path: str) -> None:
        number = int(path.split("/")[2])
        document = altered(BILL, path, other_than(value_at(BILL, path)))
        # Some values the type itself does not have, such as an event of 11: pydantic then names the place.
        with pytest.raises((BillInvalid, ValidationError), match=rf"reading {number}: |readings\.{number}\."):
            verify_bill(SignedBill.model_validate(document))

    @given(st.sampled_from(PATHS))
    @settings(max_examples=100)
    def test_of_any_field_at_all_fails(self, path: str) -> None:
        document = altered(BILL, path, other_than(value_at(BILL, path)))
        with pytest.raises((BillInvalid, ValidationError)):
            verify_bill(SignedBill.model_validate(document))


class TestAnyRental:
    @given(tariffs_with_counters(steps=4), st.integers(min_value=1, max_value=10**9))
    @settings(max_examples=40)
    def test_passes_and_adds_up(self, priced: tuple[Tariff, list[tuple[int, ...]]], budget: int) -> None:
        tariff, grown = priced
        listing = a_listing(tariff=tariff)
        offer = an_offer(listing=listing, request=a_request(listing=listing, budget=budget))
        rental = signed_agreement(offer=offer)
        counters = [(0,) * len(tariff.counters), *grown]
        readings = a_reading_chain(len(counters), signed=rental, counters=counters)
        last = readings[-1].reading
        ceiling = next_ceiling(rental.agreement, last)
        bill = make_bill(
            rental=rental,
            readings=readings,
            total=last.amount_due,
            deposit_returned=rental.agreement.rules.deposit,
            transactions=(),
            issued_at=NOW,
            ceiling=sign_ceiling(RENTER_AGENT_KEY, rental.domain, ceiling),
        )
        check = verify_bill(sign_bill(PLATFORM_KEY, bill))
        assert check.total == sum(line.amount for line in bill.lines)
        assert bill.total + bill.refund == rental.agreement.pay.max_total
        assert bill.fee <= bill.total <= rental.agreement.pay.max_total
