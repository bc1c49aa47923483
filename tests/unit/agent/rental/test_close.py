"""Closing by both signatures."""

from typing import Any

import pytest

from hireling.rental.close import Close, SignedClose
from hireling.rental.errors import CloseRefused, SignatureMismatch
from hireling.rental.signing import Signer, sign
from tests.builders import (
    DOMAIN,
    METER_KEY,
    OWNER_AGENT_KEY,
    OWNER_KEY,
    RENTER_AGENT_KEY,
    RENTER_KEY,
    signed_agreement,
)

RENTAL = signed_agreement()


def a_signed_close(
    *, owner_key: Signer = OWNER_AGENT_KEY, renter_key: Signer = RENTER_AGENT_KEY, **changes: Any
) -> SignedClose:
    close = Close.model_validate(
        {"rental_id": RENTAL.rental_id, "use": 500, "damage": 0, "valid_until": 2_000_000_000} | changes
    )
    return SignedClose(
        close=close,
        owner_signature=sign(owner_key, DOMAIN, close),
        renter_signature=sign(renter_key, DOMAIN, close),
    )


class TestSignedClose:
    @pytest.mark.parametrize("owner_key", [OWNER_AGENT_KEY, OWNER_KEY])
    @pytest.mark.parametrize("renter_key", [RENTER_AGENT_KEY, RENTER_KEY])
    def test_takes_each_side_or_its_agent(self, owner_key: Signer, renter_key: Signer) -> None:
        a_signed_close(owner_key=owner_key, renter_key=renter_key).check(DOMAIN, RENTAL.agreement)

    def test_damage_needs_the_renter_itself(self) -> None:
        a_signed_close(renter_key=RENTER_KEY, damage=1).check(DOMAIN, RENTAL.agreement)
        with pytest.raises(SignatureMismatch):
            a_signed_close(renter_key=RENTER_AGENT_KEY, damage=1).check(DOMAIN, RENTAL.agreement)

    @pytest.mark.parametrize("side", ["owner_key", "renter_key"])
    def test_takes_nobody_else(self, side: str) -> None:
        with pytest.raises(SignatureMismatch):
            a_signed_close(**{side: METER_KEY}).check(DOMAIN, RENTAL.agreement)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"rental_id": bytes(32)}, "unknown_rental"),
            ({"use": RENTAL.agreement.pay.max_total + 1}, "above_total"),
            ({"damage": 10_001}, "above_deposit"),
        ],
    )
    def test_stays_within_the_agreement(self, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(CloseRefused) as refusal:
            a_signed_close(**changes).check(DOMAIN, RENTAL.agreement)
        assert refusal.value.code == code
