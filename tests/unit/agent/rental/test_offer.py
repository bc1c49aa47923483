"""Bargaining: the first offer, counter-offers, and the agreement they make."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hireling.rental.documents import document_hash
from hireling.rental.errors import OfferRefused, SignatureMismatch
from hireling.rental.offer import (
    Offer,
    agreement_from,
    check_sequence,
    counter,
    first_offer,
    sign_offer,
    terms_of,
)
from hireling.rental.signing import keccak256
from hireling.rental.tariff import scaled, tariff_hash, worst_case
from hireling.rental.typed_data import Domain
from tests.builders import (
    DOMAIN,
    NOW,
    OWNER_AGENT_KEY,
    RENTER_AGENT_KEY,
    a_listing,
    a_request,
    a_tariff,
    an_offer,
    platform_terms,
)

START = int(NOW.timestamp())


def a_counter(offer: Offer, *, percent: int = 90) -> Offer:
    """Return an answer at so many percent of the listed price, whatever was offered before."""
    return counter(offer, terms=replace(terms_of(offer), tariff=scaled(a_tariff(), percent, 100)), now=NOW)


def another(value: object) -> object:
    """Return a value of the same type that differs."""
    if isinstance(value, bytes):
        return keccak256(value)[: len(value)]
    if isinstance(value, str):
        return f"{value}-2"
    return value + 1 if isinstance(value, int) else 7


class TestFirstOffer:
    def test_is_signed_in_the_marketplace_s_domain(self) -> None:
        assert an_offer().domain == platform_terms().domain == DOMAIN

    def test_takes_the_listed_terms(self) -> None:
        offer, listing = an_offer(), a_listing()
        assert offer.tariff == listing.tariff
        assert (offer.deposit, offer.grace, offer.notice) == (listing.deposit, listing.grace, listing.notice)
        assert offer.max_total == worst_case(listing.tariff, 600)
        assert offer.all_in == offer.max_total + listing.deposit

    def test_answers_its_request(self) -> None:
        request = a_request()
        assert an_offer(request=request).previous == document_hash(request)

    def test_never_asks_more_than_the_budget(self) -> None:
        assert an_offer(request=a_request(budget=1_234)).max_total == 1_234

    def test_gives_all_its_seconds_even_when_funded_at_the_last_moment(self) -> None:
        offer = an_offer()
        assert offer.end_by - offer.fund_by >= offer.seconds

    def test_starts_on_a_quarter_of_an_hour(self) -> None:
        assert an_offer(request=a_request(start_at=START + 899)).start_at == START

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"seconds": 0}, "bad_duration"),
            ({"seconds": 86_401}, "bad_duration"),
            ({"start_at": START - 901}, "starts_too_early"),
            ({"start_at": START + 366 * 86_400}, "ends_too_late"),
            ({"start_at": 2**40 - 1}, "ends_too_late"),
        ],
    )
    def test_refuses_what_the_listing_does_not_cover(self, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(OfferRefused) as refusal:
            an_offer(request=a_request(**changes))
        assert refusal.value.code == code

    def test_refuses_a_request_for_another_listing(self) -> None:
        with pytest.raises(OfferRefused) as refusal:
            an_offer(listing=a_listing(title="Another"), request=a_request())
        assert refusal.value.code == "other_listing"

    def test_refuses_an_old_listing(self) -> None:
        listing = a_listing()
        late = NOW + timedelta(hours=2)
        with pytest.raises(OfferRefused, match="the listing was good until"):
            first_offer(listing, a_request(listing=listing), platform_terms(), late, bytes(32), "quote-1")


class TestCounter:
    def test_changes_the_price_and_what_follows_from_it(self) -> None:
        first = an_offer()
        second = a_counter(first)
        changed = {name for name in Offer.model_fields if getattr(first, name) != getattr(second, name)}
        assert changed == {"previous", "round", "tariff", "max_total", "block_max", "max_rate_per_hour"}
        assert second.max_total == worst_case(second.tariff, 600) < first.max_total

    def test_keeps_the_budget(self) -> None:
        assert a_counter(an_offer(request=a_request(budget=1_234)), percent=200).max_total == 1_234

    def test_lets_the_end_and_the_amounts_follow_from_the_terms(self) -> None:
        end_by = max(an_offer().fund_by, START + 1_800) + 300 + a_listing().grace
        terms = replace(terms_of(an_offer()), start_at=START + 1_800, seconds=300, deposit=5_000)
        second = counter(an_offer(), terms=terms, now=NOW)
        assert (second.end_by, second.deposit) == (end_by, 5_000)
        assert second.max_total == worst_case(second.tariff, 300)


class TestCheckSequence:
    def test_passes_what_bargaining_makes(self) -> None:
        first = an_offer()
        second = a_counter(first)
        assert check_sequence(a_listing(), a_request(), []) == ()
        outcomes = check_sequence(a_listing(), a_request(), [first, second, a_counter(second, percent=95)])
        assert outcomes == ((0, 0, 0, 0, 0), (10, 0, 0, 0, 0), (5, 0, 0, 0, 0))

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"round": 2}, "wrong_round"),
            ({"previous": bytes(32)}, "broken_sequence"),
            ({"max_total": 5}, "wrong_amount"),
            ({"deposit": 5}, "off_agenda"),
            ({"meter": b"\x05" * 20}, "fixed_term_changed"),
            ({"end_by": START + 5}, "wrong_end"),
            ({"notice": 5}, "fixed_term_changed"),
            ({"start_at": START + 900, "end_by": START + 1_530}, "off_agenda"),
            ({"salt": bytes(32)}, "fixed_term_changed"),
            ({"quote_id": "quote-2"}, "fixed_term_changed"),
        ],
    )
    def test_refuses_a_counter_that_changes_more(self, changes: dict[str, Any], code: str) -> None:
        first = an_offer()
        second = Offer.model_validate({**dict(a_counter(first)), **changes})
        with pytest.raises(OfferRefused) as refusal:
            check_sequence(a_listing(), a_request(), [first, second])
        assert refusal.value.code == code

    def test_refuses_a_ninth_counter(self) -> None:
        offers = [an_offer()]
        for _ in range(8):
            offers.append(a_counter(offers[-1]))
        check_sequence(a_listing(), a_request(), offers)
        ninth = {**dict(offers[-1]), "round": 9, "previous": document_hash(offers[-1])}
        with pytest.raises(OfferRefused, match="offer 9 says it is round 9 of at most 8"):
            check_sequence(a_listing(), a_request(), [*offers, Offer.model_validate(ninth)])

    def test_refuses_a_first_offer_to_somebody_else(self) -> None:
        with pytest.raises(OfferRefused, match="the offer's renter is not the request's"):
            check_sequence(a_listing(), a_request(), [an_offer(renter=b"\x05" * 20)])


class TestSignedOffer:
    def test_is_the_owner_s_agent_s_on_even_rounds_and_the_renter_s_agent_s_on_odd(self) -> None:
        first = an_offer()
        sign_offer(OWNER_AGENT_KEY, first).check(DOMAIN)
        sign_offer(RENTER_AGENT_KEY, a_counter(first)).check(DOMAIN)
        with pytest.raises(SignatureMismatch):
            sign_offer(RENTER_AGENT_KEY, first).check(DOMAIN)

    def test_is_bound_to_its_domain(self) -> None:
        with pytest.raises(OfferRefused, match="for chain 31337, not 1"):
            sign_offer(OWNER_AGENT_KEY, an_offer()).check(Domain(chain_id=1, escrow=DOMAIN.escrow))

    def test_is_named_by_the_hash_its_answer_carries(self) -> None:
        first = an_offer()
        assert sign_offer(OWNER_AGENT_KEY, first).hash == a_counter(first).previous

    def test_covers_every_term(self) -> None:
        signed = sign_offer(OWNER_AGENT_KEY, an_offer())
        with pytest.raises(SignatureMismatch):
            signed.model_copy(update={"offer": an_offer(deposit=1)}).check(DOMAIN)


class TestAgreementFrom:
    def test_is_the_same_each_time_and_names_the_offer(self) -> None:
        offer = an_offer()
        agreement = agreement_from(offer)
        assert agreement == agreement_from(Offer.model_validate_json(offer.model_dump_json()))
        assert agreement.rules.detail.offer == document_hash(offer)
        assert agreement.rules.detail.tariff == tariff_hash(offer.tariff)

    @pytest.mark.parametrize("name", [name for name in Offer.model_fields if name not in ("rail", "tariff")])
    def test_is_another_for_any_other_term(self, name: str) -> None:
        value = getattr(an_offer(), name)
        changes: dict[str, Any] = {name: another(value)}
        changed = an_offer(**changes)
        assert agreement_from(changed) != agreement_from(an_offer())
