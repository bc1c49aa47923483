"""Whether one side's signature under an end counts."""

from typing import Any

import pytest

from hireling.rental.close import Close, Exit
from hireling.rental.signing import Signer, sign
from hireling.rental.states import State
from services.messages.errors import Conflict, Refused
from services.messages.settlement import CloseHalf, SignedExit
from services.settlement.endings import check_exit, check_half
from tests.builders import (
    METER_KEY,
    OWNER_AGENT_KEY,
    OWNER_KEY,
    RENTER_AGENT_KEY,
    RENTER_KEY,
    a_reading_chain,
    signed_agreement,
)

SIGNED = signed_agreement()
READINGS = a_reading_chain(10, signed=SIGNED)
USE = READINGS[-1].reading.amount_due


def half(*, by: str, key: Signer, use: int = USE, damage: int = 0, **changes: Any) -> CloseHalf:
    """Return one side's half of a close."""
    terms = {"rental_id": SIGNED.rental_id, "use": use, "damage": damage, "valid_until": 1 << 39}
    close = Close.model_validate(terms | changes)
    return CloseHalf.model_validate({"close": close, "by": by, "signature": sign(key, SIGNED.domain, close)})


def check(signed_half: CloseHalf, *, state: State = State.CLOSED, last: int = 9) -> None:
    """Check a half in this state, when this reading is the last that counts."""
    check_half(SIGNED, signed_half, state=state, reading=READINGS[last])


class TestCheckHalf:
    @pytest.mark.parametrize("key", [OWNER_KEY, OWNER_AGENT_KEY])
    def test_takes_the_owners_side(self, key: Signer) -> None:
        check(half(by="owner", key=key))

    def test_takes_the_renters_agent_at_any_time(self) -> None:
        check(half(by="renter", key=RENTER_AGENT_KEY), state=State.ACTIVE)

    def test_takes_damage_from_the_renter_itself_only(self) -> None:
        check(half(by="renter", key=RENTER_KEY, damage=5))
        with pytest.raises(Refused):
            check(half(by="renter", key=RENTER_AGENT_KEY, damage=5))

    @pytest.mark.parametrize(
        ("by", "key"), [("owner", RENTER_KEY), ("renter", OWNER_KEY), ("owner", METER_KEY)]
    )
    def test_refuses_the_other_sides_key(self, by: str, key: Signer) -> None:
        with pytest.raises(Refused):
            check(half(by=by, key=key))

    def test_refuses_another_rentals_close(self) -> None:
        with pytest.raises(Refused, match="unknown_rental"):
            check(half(by="owner", key=OWNER_KEY, rental_id=bytes(32)))

    def test_has_the_owner_wait_for_the_last_reading(self) -> None:
        with pytest.raises(Conflict, match="still_running"):
            check(half(by="owner", key=OWNER_KEY), state=State.ACTIVE)

    def test_has_the_owner_wait_for_readings_that_are_on_their_way(self) -> None:
        with pytest.raises(Conflict, match="reading_missing"):
            check(half(by="owner", key=OWNER_KEY), last=4)

    def test_takes_a_zero_close_of_what_never_began(self) -> None:
        check_half(SIGNED, half(by="owner", key=OWNER_KEY, use=0), state=State.FUNDED, reading=None)


class TestCheckExit:
    @pytest.mark.parametrize(
        ("by", "key"),
        [
            ("owner", OWNER_KEY),
            ("owner", OWNER_AGENT_KEY),
            ("renter", RENTER_KEY),
            ("renter", RENTER_AGENT_KEY),
        ],
    )
    def test_takes_either_side(self, by: str, key: Signer) -> None:
        signature = sign(key, SIGNED.domain, Exit(rental_id=SIGNED.rental_id))
        check_exit(SIGNED, SignedExit.model_validate({"by": by, "signature": signature}))

    def test_refuses_anyone_else(self) -> None:
        signature = sign(METER_KEY, SIGNED.domain, Exit(rental_id=SIGNED.rental_id))
        with pytest.raises(Refused, match="wrong_signer"):
            check_exit(SIGNED, SignedExit(by="owner", signature=signature))

    def test_refuses_what_is_no_signature(self) -> None:
        with pytest.raises(Refused):
            check_exit(SIGNED, SignedExit(by="owner", signature=b"\x01" * 65))
