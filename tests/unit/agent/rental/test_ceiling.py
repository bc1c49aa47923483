"""Ceilings: a block ahead of what was acknowledged."""

from typing import Any

import pytest

from hireling.rental.ceiling import (
    Ceiling,
    allowed,
    check_not_falling,
    first_ceiling,
    next_ceiling,
    sign_ceiling,
)
from hireling.rental.errors import CeilingRefused, SignatureMismatch
from hireling.rental.reading import reading_hash
from tests.builders import (
    DOMAIN,
    RENTER_AGENT_KEY,
    RENTER_KEY,
    a_reading_chain,
    a_request,
    an_offer,
    signed_agreement,
)

RENTAL = signed_agreement()
AGREEMENT = RENTAL.agreement
READINGS = a_reading_chain(4, signed=RENTAL)


def a_ceiling(**changes: Any) -> Ceiling:
    return Ceiling.model_validate({**dict(next_ceiling(AGREEMENT, READINGS[2].reading)), **changes})


class TestMaking:
    def test_the_first_allows_one_block(self) -> None:
        ceiling = first_ceiling(AGREEMENT, rental_id=RENTAL.rental_id)
        assert (ceiling.max_claimable, ceiling.ack_amount, ceiling.ack_reading) == (15_470, 0, bytes(32))

    def test_the_next_allows_one_block_beyond_what_it_acknowledges(self) -> None:
        reading = READINGS[2].reading
        ceiling = next_ceiling(AGREEMENT, reading)
        assert ceiling.max_claimable == reading.amount_due + AGREEMENT.pay.block_max
        assert (ceiling.ack_amount, ceiling.ack_reading) == (reading.amount_due, reading_hash(reading))

    def test_none_goes_beyond_the_total(self) -> None:
        rental = signed_agreement(offer=an_offer(request=a_request(budget=200)))
        assert first_ceiling(rental.agreement, rental_id=rental.rental_id).max_claimable == 200
        dear = a_reading_chain(4, signed=rental)[-1].reading.model_copy(update={"amount_due": 300})
        ceiling = next_ceiling(rental.agreement, dear)
        assert (ceiling.max_claimable, ceiling.ack_amount) == (200, 200)


class TestAllowed:
    def test_is_nothing_without_a_ceiling(self) -> None:
        assert allowed(AGREEMENT, None, 10**6) == 0

    @pytest.mark.parametrize(
        ("changes", "prepaid", "least"),
        [
            ({"max_claimable": 100, "ack_amount": 90}, 10**6, 100),
            ({"max_claimable": 10**6, "ack_amount": 90}, 10**6, 90 + 15_470),
            ({"max_claimable": 10**6, "ack_amount": 90}, 77, 77),
        ],
    )
    def test_is_the_least_of_three(self, changes: dict[str, Any], prepaid: int, least: int) -> None:
        assert allowed(AGREEMENT, a_ceiling(**changes), prepaid) == least


class TestSignedCeiling:
    def test_is_the_session_key_s(self) -> None:
        sign_ceiling(RENTER_AGENT_KEY, DOMAIN, a_ceiling()).check(DOMAIN, AGREEMENT)
        with pytest.raises(SignatureMismatch):
            sign_ceiling(RENTER_KEY, DOMAIN, a_ceiling()).check(DOMAIN, AGREEMENT)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"rental_id": bytes(32)}, "unknown_rental"),
            ({"max_claimable": AGREEMENT.pay.max_total + 1}, "above_total"),
            ({"max_claimable": 5, "ack_amount": 6}, "acknowledges_more"),
        ],
    )
    def test_is_refused_beyond_the_agreement(self, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(CeilingRefused) as refusal:
            sign_ceiling(RENTER_AGENT_KEY, DOMAIN, a_ceiling(**changes)).check(DOMAIN, AGREEMENT)
        assert refusal.value.code == code


class TestNotFalling:
    @pytest.mark.parametrize("name", ["max_claimable", "ack_amount"])
    def test_refuses_to_take_back(self, name: str) -> None:
        before = a_ceiling()
        after = a_ceiling(**{name: getattr(before, name) - 1})
        check_not_falling(after, before)
        with pytest.raises(CeilingRefused, match=f"{name} fell from"):
            check_not_falling(before, after)
