"""Agreements: both sides' signatures, the offer they come from, the escrow's limits."""

from datetime import timedelta
from typing import Any

import pytest

from hireling.rental.agreement import Agreement, SignedAgreement, device_id, rental_id
from hireling.rental.errors import AgreementRefused, OfferRefused, RentalError, SignatureMismatch
from hireling.rental.limits import check_limits, check_openable
from hireling.rental.typed_data import digest
from tests.builders import (
    DOMAIN,
    METER_KEY,
    NOW,
    OWNER_KEY,
    RENTER_AGENT_KEY,
    a_p256_key,
    an_agreement,
    an_offer,
    signed_agreement,
)

START = int(NOW.timestamp())


def with_terms(*, pay: dict[str, Any] | None = None, rules: dict[str, Any] | None = None) -> Agreement:
    agreement = an_agreement()
    return Agreement.model_validate(
        {"pay": {**dict(agreement.pay), **(pay or {})}, "rules": {**dict(agreement.rules), **(rules or {})}}
    )


class TestRentalId:
    def test_is_what_both_sides_sign(self) -> None:
        signed = signed_agreement()
        assert signed.rental_id == digest(DOMAIN, signed.agreement) == rental_id(DOMAIN, signed.agreement)

    def test_is_another_for_another_salt(self) -> None:
        other = signed_agreement(offer=an_offer(salt=b"\x01" * 32))
        assert other.rental_id != signed_agreement().rental_id


class TestSignedAgreement:
    def test_passes_as_the_builder_makes_it(self) -> None:
        signed_agreement().check(NOW)

    def test_may_be_signed_by_the_owner_itself(self) -> None:
        signed_agreement(owner_key=OWNER_KEY).check(NOW)

    def test_survives_json(self) -> None:
        signed = signed_agreement()
        again = SignedAgreement.model_validate_json(signed.model_dump_json())
        assert again == signed
        assert again.rental_id == signed.rental_id

    def test_is_refused_without_the_owner(self) -> None:
        with pytest.raises(SignatureMismatch, match="neither the owner nor its agent"):
            signed_agreement(owner_key=METER_KEY).check(NOW)

    def test_is_refused_when_only_the_renter_s_agent_signed(self) -> None:
        with pytest.raises(SignatureMismatch, match="who is not the renter"):
            signed_agreement(renter_key=RENTER_AGENT_KEY).check(NOW)

    def test_is_refused_for_another_offer(self) -> None:
        signed = signed_agreement()
        other = signed.model_copy(update={"offer": an_offer(quote_id="quote-2")})
        with pytest.raises(AgreementRefused) as refusal:
            other.check(NOW)
        assert refusal.value.code == "other_offer"

    def test_is_refused_for_amounts_its_tariff_does_not_make(self) -> None:
        with pytest.raises(OfferRefused, match="max_total is 1, the tariff makes"):
            signed_agreement(offer=an_offer(max_total=1)).check(NOW)

    def test_is_refused_in_another_domain(self) -> None:
        signed = signed_agreement()
        domain = DOMAIN.model_copy(update={"chain_id": 1})
        with pytest.raises(AgreementRefused) as refusal:
            signed.model_copy(update={"domain": domain}).check(NOW)
        assert refusal.value.code == "wrong_domain"

    def test_is_refused_for_a_device_that_is_not_its_meter(self) -> None:
        offer = an_offer(device=device_id(a_p256_key("another").identity))
        with pytest.raises(AgreementRefused) as refusal:
            signed_agreement(offer=offer).check(NOW)
        assert refusal.value.code == "other_device"

    def test_keeps_to_the_clock_only_where_asked(self) -> None:
        late = NOW + timedelta(days=400)
        signed_agreement().check_signed()
        with pytest.raises(AgreementRefused) as refusal:
            signed_agreement().check(late)
        assert refusal.value.code == "too_late_to_fund"

    @pytest.mark.parametrize("name", ["owner_signature", "renter_signature"])
    def test_is_refused_with_a_signature_over_something_else(self, name: str) -> None:
        signed = signed_agreement()
        other = signed_agreement(offer=an_offer(salt=b"\x01" * 32))
        with pytest.raises(SignatureMismatch):
            signed.model_copy(update={name: getattr(other, name)}).check_signed()


class TestLimits:
    @pytest.mark.parametrize(
        ("pay", "rules", "code"),
        [
            ({"token": bytes(20)}, {}, "no_token"),
            ({"fee_bps": 1_001}, {}, "fee_too_high"),
            ({"claim_window": 3_599}, {}, "window_out_of_range"),
            ({"claim_window": 2_592_001}, {}, "window_out_of_range"),
            ({}, {"challenge_window": 3_599}, "window_out_of_range"),
            ({}, {"challenge_window": 2_592_001}, "window_out_of_range"),
            ({}, {"notice": 2_592_001}, "notice_too_long"),
            ({"max_total": 2**96 - 1}, {"deposit": 1}, "too_much_money"),
            ({}, {"fund_by": 2**40 - 1}, "times_out_of_order"),
            ({"start_at": 2**40 - 1}, {}, "times_out_of_order"),
        ],
    )
    def test_refuse_just_beyond_them(self, pay: dict[str, Any], rules: dict[str, Any], code: str) -> None:
        with pytest.raises(AgreementRefused) as refusal:
            check_limits(with_terms(pay=pay, rules=rules))
        assert refusal.value.code == code

    @pytest.mark.parametrize(
        ("pay", "rules"),
        [
            ({"fee_bps": 1_000}, {}),
            ({"claim_window": 3_600}, {}),
            ({"claim_window": 2_592_000}, {"challenge_window": 2_592_000, "notice": 2_592_000}),
            ({"max_total": 2**96 - 1}, {"deposit": 0}),
        ],
    )
    def test_allow_up_to_them(self, pay: dict[str, Any], rules: dict[str, Any]) -> None:
        check_limits(with_terms(pay=pay, rules=rules))

    def test_funding_ends_with_its_last_second(self) -> None:
        fund_by = an_agreement().rules.fund_by
        check_openable(an_agreement(), NOW + timedelta(seconds=fund_by - START))
        with pytest.raises(AgreementRefused, match=f"it is {fund_by + 1}, fund_by was {fund_by}"):
            check_openable(an_agreement(), NOW + timedelta(seconds=fund_by - START + 1))

    def test_no_rental_ends_after_366_days(self) -> None:
        longest = START + 366 * 86_400
        check_openable(with_terms(rules={"end_by": longest}), NOW)
        with pytest.raises(AgreementRefused) as refusal:
            check_openable(with_terms(rules={"end_by": longest + 1}), NOW)
        assert refusal.value.code == "ends_too_late"

    def test_all_errors_are_of_one_tree(self) -> None:
        with pytest.raises(RentalError, match="the token is the zero address"):
            check_limits(with_terms(pay={"token": bytes(20)}))
