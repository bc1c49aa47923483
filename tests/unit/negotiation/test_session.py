"""The rules of a quote session, without a service."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.agenda import Agenda
from hireling.rental.hashing import keccak256
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import Offer, SignedOffer, counter, first_offer, sign_offer, terms_of
from hireling.rental.session_document import quote_id_of
from hireling.rental.tariff import scaled
from services.messages.errors import CallerError, Conflict, Refused
from services.messages.negotiation import QuoteStatus
from services.negotiation.session import QuoteSession
from tests.builders import (
    NOW,
    OWNER_AGENT_KEY,
    RENTER_AGENT_KEY,
    a_listing,
    a_mandate,
    a_request,
    platform_terms,
)
from tests.fakes.actors import DeviceActor, RenterActor
from tests.fakes.clock import FixedClock

CLOCK = FixedClock(NOW)
DEVICE = DeviceActor(clock=CLOCK)
RENTER = RenterActor(clock=CLOCK)
LISTING = a_listing()


def a_session(
    *, listing: ListingDocument = LISTING, mandate: SignedMandate | None = None, **changes: Any
) -> QuoteSession:
    """Return a session in which nothing was offered yet."""
    request = a_request(listing=listing, **changes)
    return QuoteSession(
        quote_id=quote_id_of(request),
        request=request,
        listing=listing,
        mandate=mandate or a_mandate(),
        terms=platform_terms(),
        answer_by=NOW + timedelta(seconds=60),
    )


def round_0(session: QuoteSession | None = None, **changes: Any) -> SignedOffer:
    """Return the owner's first offer, signed whatever was changed in it."""
    asked = session or a_session()
    offer = first_offer(
        asked.listing, asked.request, platform_terms(), NOW, keccak256(b"salt"), asked.quote_id
    )
    return sign_offer(OWNER_AGENT_KEY, Offer.model_validate({**dict(offer), **changes}))


def answer(signed: SignedOffer, *, percent: int = 90) -> SignedOffer:
    """Return the next round by whoever's turn it is, at so many percent of the listed price."""
    terms = replace(terms_of(signed.offer), tariff=scaled(LISTING.tariff, percent, 100))
    next_offer = counter(signed.offer, terms=terms, now=NOW)
    return sign_offer(OWNER_AGENT_KEY if next_offer.round % 2 == 0 else RENTER_AGENT_KEY, next_offer)


def offered(*, now: datetime = NOW) -> QuoteSession:
    """Return a session with the owner's first offer on the table."""
    return a_session().with_offer(round_0(), now=now)


class TestTurn:
    def test_begins_with_the_owner_and_alternates(self) -> None:
        session = a_session()
        assert session.turn == "owner"
        session = session.with_offer(round_0(), now=NOW)
        assert session.turn == "renter"
        assert session.with_offer(answer(round_0()), now=NOW).turn == "owner"

    def test_passes_to_the_other_side_once_one_has_signed(self) -> None:
        session = offered().with_offer(answer(round_0()), now=NOW)
        last = session.offers[-1].offer
        assert session.with_signature(DEVICE.signature(last), now=NOW).turn == "renter"
        assert session.with_signature(RENTER.signature(last), now=NOW).turn == "owner"

    def test_is_nobodys_once_agreed_or_expired(self) -> None:
        session = offered()
        assert session.at(NOW + timedelta(seconds=121)).turn == "none"


class TestWithOffer:
    def test_ignores_an_offer_that_came_before(self) -> None:
        session = offered()
        assert session.with_offer(round_0(), now=NOW) is session

    def test_ignores_a_repeated_offer_even_when_it_is_over(self) -> None:
        late = NOW + timedelta(hours=1)
        session = offered().at(late)
        assert session.with_offer(round_0(), now=late) is session

    def test_takes_eight_rounds_and_no_ninth(self) -> None:
        session, last = offered(), round_0()
        for number in range(8):
            last = answer(last, percent=99 - number)
            session = session.with_offer(last, now=NOW)
        assert len(session.offers) == 9
        ninth = SignedOffer(
            offer=Offer.model_validate({**dict(last.offer), "round": 9}), signature=last.signature
        )
        with pytest.raises(Refused) as caught:
            session.with_offer(ninth, now=NOW)
        assert caught.value.code == "too_many_rounds"

    def test_takes_as_many_rounds_as_the_listing_allows(self) -> None:
        session = a_session(listing=a_listing(agenda=Agenda(rounds=100)))
        last = round_0(session)
        session = session.with_offer(last, now=NOW)
        for number in range(100):
            last = answer(last, percent=99 - number % 2)
            session = session.with_offer(last, now=NOW)
        with pytest.raises(Refused, match="round 101 is above 100"):
            session.with_offer(answer(last, percent=97), now=NOW)

    def test_refuses_a_price_that_is_not_on_the_agenda(self) -> None:
        with pytest.raises(Refused) as caught:
            offered().with_offer(answer(round_0(), percent=49), now=NOW)
        assert caught.value.code == "off_agenda"

    def test_refuses_another_offer_in_a_round_that_was_made(self) -> None:
        other = round_0(salt=keccak256(b"other salt"))
        with pytest.raises(Conflict) as caught:
            offered().with_offer(other, now=NOW)
        assert caught.value.code == "not_your_turn"

    def test_refuses_a_signature_of_the_wrong_side(self) -> None:
        forged = sign_offer(RENTER_AGENT_KEY, round_0().offer)
        with pytest.raises(Refused) as caught:
            a_session().with_offer(forged, now=NOW)
        assert caught.value.code == "wrong_signer"

    def test_refuses_an_answer_to_something_else(self) -> None:
        other = answer(round_0(salt=keccak256(b"other salt")))
        with pytest.raises(Refused) as caught:
            offered().with_offer(other, now=NOW)
        assert caught.value.code == "broken_sequence"

    @pytest.mark.parametrize(
        ("term", "value"),
        [("fee_bps", 0), ("fee_to", bytes(20)), ("token", b"\x01" * 20), ("arbiter", b"\x02" * 20)],
    )
    def test_refuses_other_terms_than_the_platforms(self, term: str, value: Any) -> None:
        with pytest.raises(Refused) as caught:
            a_session().with_offer(round_0(**{term: value}), now=NOW)
        assert (caught.value.code, caught.value.fields["term"]) == ("not_the_platforms_terms", term)

    @pytest.mark.parametrize("term", ["notice", "claim_window", "challenge_window"])
    def test_refuses_other_terms_than_the_listings(self, term: str) -> None:
        with pytest.raises(Refused) as caught:
            a_session().with_offer(round_0(**{term: getattr(LISTING, term) + 1}), now=NOW)
        assert (caught.value.code, caught.value.fields["term"]) == ("not_as_listed", term)

    def test_refuses_another_chain(self) -> None:
        with pytest.raises(Refused) as caught:
            a_session().with_offer(round_0(chain_id=1), now=NOW)
        assert caught.value.code == "wrong_domain"

    def test_refuses_one_that_is_good_for_too_long(self) -> None:
        with pytest.raises(Refused) as caught:
            a_session().with_offer(round_0(valid_until=int(NOW.timestamp()) + 601), now=NOW)
        assert caught.value.code == "offer_expiry"

    def test_refuses_to_hold_the_device_unfunded_for_hours(self) -> None:
        fund_by = int(NOW.timestamp()) + 3_601
        end_by = fund_by + 600 + LISTING.grace
        with pytest.raises(Refused) as caught:
            a_session().with_offer(round_0(fund_by=fund_by, end_by=end_by), now=NOW)
        assert caught.value.code == "funding_too_long"

    def test_refuses_what_the_owners_mandate_does_not_allow(self) -> None:
        session = a_session(mandate=a_mandate(max_fee_bps=249))
        with pytest.raises(Refused) as caught:
            session.with_offer(round_0(), now=NOW)
        assert caught.value.fields["limit"] == "max_fee_bps"

    def test_allows_the_listed_price_under_a_budget_below_the_worst_case(self) -> None:
        session = a_session(budget=100)
        assert len(session.with_offer(round_0(session), now=NOW).offers) == 1

    def test_refuses_a_question_that_waited_too_long(self) -> None:
        late = NOW + timedelta(seconds=61)
        with pytest.raises(Conflict) as caught:
            a_session().at(late).with_offer(round_0(), now=late)
        assert caught.value.code == "quote_closed"


class TestWithSignature:
    def test_makes_one_agreement_of_both_signatures(self) -> None:
        last = round_0().offer
        session = offered().with_signature(DEVICE.signature(last), now=NOW)
        assert session.status is QuoteStatus.OPEN
        session = session.with_signature(RENTER.signature(last), now=NOW)
        assert session.status is QuoteStatus.AGREED
        session.agreement().check(NOW)
        assert session.rental_id == session.agreement().rental_id

    def test_takes_either_side_first(self) -> None:
        last = round_0().offer
        one = (
            offered()
            .with_signature(DEVICE.signature(last), now=NOW)
            .with_signature(RENTER.signature(last), now=NOW)
        )
        other = (
            offered()
            .with_signature(RENTER.signature(last), now=NOW)
            .with_signature(DEVICE.signature(last), now=NOW)
        )
        assert one.agreement() == other.agreement()

    def test_takes_the_last_offer_only(self) -> None:
        session = offered().with_offer(answer(round_0()), now=NOW)
        with pytest.raises(Conflict) as caught:
            session.with_signature(DEVICE.signature(round_0().offer), now=NOW)
        assert caught.value.code == "not_the_last_offer"

    def test_forgets_a_signature_when_a_counter_offer_follows(self) -> None:
        session = offered().with_signature(DEVICE.signature(round_0().offer), now=NOW)
        assert session.with_offer(answer(round_0()), now=NOW).signatures == {}

    def test_refuses_one_side_signing_for_the_other(self) -> None:
        forged = DEVICE.signature(round_0().offer).model_copy(update={"by": "renter"})
        with pytest.raises(Refused) as caught:
            offered().with_signature(forged, now=NOW)
        assert caught.value.code == "wrong_signer"

    def test_refuses_a_stranger(self) -> None:
        stranger = RenterActor(clock=CLOCK, name="stranger")
        with pytest.raises(Refused):
            offered().with_signature(stranger.signature(round_0().offer), now=NOW)

    def test_refuses_after_the_offers_time(self) -> None:
        late = NOW + timedelta(seconds=121)
        with pytest.raises(Conflict) as caught:
            offered().at(late).with_signature(RENTER.signature(round_0().offer), now=late)
        assert caught.value.code == "quote_closed"

    def test_holds_the_owners_agent_to_its_price_floor(self) -> None:
        session = offered().with_offer(answer(round_0(), percent=50), now=NOW)
        with pytest.raises(Refused) as caught:
            session.with_signature(DEVICE.signature(session.offers[-1].offer), now=NOW)
        assert caught.value.fields["limit"] == "price_floor"


@given(st.lists(st.sampled_from(["offer", "counter", "owner", "renter", "stale"]), max_size=12))
def test_any_order_of_any_repeated_messages_makes_at_most_one_agreement(messages: list[str]) -> None:
    first, second = round_0(), answer(round_0())
    session = a_session()
    agreed = set()
    for message in messages:
        try:
            if message in {"offer", "counter"}:
                session = session.with_offer(first if message == "offer" else second, now=NOW)
            elif session.last is not None:
                offer = session.last.offer if message != "stale" else first.offer
                signer = DEVICE if message in {"owner", "stale"} else RENTER
                session = session.with_signature(signer.signature(offer), now=NOW)
        except CallerError:
            pass  # refused messages leave the session as it was
        if session.status is QuoteStatus.AGREED:
            agreed.add(session.rental_id)
            assert session.turn == "none"
    assert len(agreed) <= 1


def test_names_a_session_by_its_question() -> None:
    assert quote_id_of(a_request()) == quote_id_of(a_request())
    assert quote_id_of(a_request()) != quote_id_of(a_request(seconds=601))
