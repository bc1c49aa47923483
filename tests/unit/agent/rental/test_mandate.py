"""Mandates: what an agent may sign."""

from datetime import timedelta
from typing import Any

import pytest

from hireling.rental.errors import MandateExceeded, SignatureMismatch
from hireling.rental.mandate import Clearance, SignedMandate
from hireling.rental.tariff import scaled
from tests.builders import ARBITER, DOMAIN, METER_KEY, NOW, TOKEN, a_mandate, a_tariff, an_agreement

ALL_IN = an_agreement().all_in


class TestCheck:
    def test_passes_until_its_last_second(self) -> None:
        a_mandate().check(DOMAIN, NOW + timedelta(seconds=86_400))
        with pytest.raises(MandateExceeded, match="the mandate held until"):
            a_mandate().check(DOMAIN, NOW + timedelta(seconds=86_401))

    def test_refuses_other_limits_than_the_signed_ones(self) -> None:
        mandate = a_mandate()
        raised = mandate.model_copy(update={"limits": a_mandate(total=10**20).limits})
        with pytest.raises(MandateExceeded, match="not the ones the principal signed"):
            raised.check(DOMAIN, NOW)

    def test_refuses_another_principal(self) -> None:
        with pytest.raises(SignatureMismatch):
            a_mandate().model_copy(update={"principal": METER_KEY.identity}).check(DOMAIN, NOW)

    def test_survives_json(self) -> None:
        mandate = a_mandate(kinds=("computer",), arbiters=(ARBITER,), approval_above=5)
        SignedMandate.model_validate_json(mandate.model_dump_json()).check(DOMAIN, NOW)


class TestAllows:
    @pytest.mark.parametrize(
        ("limits", "code"),
        [
            ({"per_rental": ALL_IN - 1}, "per_rental"),
            ({"total": ALL_IN - 1}, "total"),
            ({"max_rate_per_hour": 1}, "max_rate_per_hour"),
            ({"max_fee_bps": 249}, "max_fee_bps"),
            ({"arbiters": (TOKEN,)}, "arbiters"),
            ({"tokens": (ARBITER,)}, "tokens"),
            ({"longest_notice": 119}, "longest_notice"),
            ({"longest_claim_window": 3_599}, "longest_claim_window"),
            ({"longest_challenge_window": 3_599}, "longest_challenge_window"),
            ({"approval_above": ALL_IN - 1}, "needs_approval"),
        ],
    )
    def test_refuses_just_beyond_a_limit(self, limits: dict[str, Any], code: str) -> None:
        with pytest.raises(MandateExceeded) as refusal:
            a_mandate(**limits).allows(an_agreement())
        assert refusal.value.code == code

    def test_allows_up_to_every_limit(self) -> None:
        a_mandate(
            per_rental=ALL_IN,
            total=ALL_IN,
            arbiters=(ARBITER,),
            tokens=(TOKEN,),
            max_fee_bps=250,
            longest_notice=120,
            longest_claim_window=3_600,
            longest_challenge_window=3_600,
            approval_above=ALL_IN,
        ).allows(an_agreement())

    def test_counts_what_other_rentals_hold(self) -> None:
        mandate = a_mandate(total=ALL_IN + 10)
        mandate.allows(an_agreement(), reserved=10)
        with pytest.raises(MandateExceeded, match=f"total: {ALL_IN + 11} exceeds {ALL_IN + 10}"):
            mandate.allows(an_agreement(), reserved=11)

    def test_keeps_an_owner_s_price_floor(self) -> None:
        mandate, listed = a_mandate(price_floor_percent=50), a_tariff()
        mandate.allows(an_agreement(), clearance=Clearance(listed=listed, offered=scaled(listed, 1, 2)))
        lower = Clearance(listed=listed, offered=scaled(listed, 499, 1000))
        with pytest.raises(MandateExceeded, match="below 50 % of the listed"):
            mandate.allows(an_agreement(), clearance=lower)

    def test_lets_nobody_hide_a_cut_in_the_one_rate_that_matters(self) -> None:
        listed = a_tariff()
        energy, time = listed.rates
        cheap_energy = a_tariff(rates=(energy.model_copy(update={"rate": energy.rate // 3}), time))
        with pytest.raises(MandateExceeded, match="below 50 %"):
            a_mandate(price_floor_percent=50).allows(
                an_agreement(), clearance=Clearance(listed=listed, offered=cheap_energy)
            )

    def test_keeps_to_the_kinds_of_device(self) -> None:
        mandate = a_mandate(kinds=("computer",))
        mandate.allows(an_agreement(), clearance=Clearance(kind="computer"))
        with pytest.raises(MandateExceeded, match="appliance is none of computer"):
            mandate.allows(an_agreement(), clearance=Clearance(kind="appliance"))

    def test_takes_a_person_s_approval(self) -> None:
        a_mandate(approval_above=1).allows(an_agreement(), clearance=Clearance(approved=True))
