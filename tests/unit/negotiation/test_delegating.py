"""What a delegate may do in its owner's turn: the owner's bounds, and who signed what."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hireling.bargaining.owners import LeaveIt, MakeOffer, OwnersMove, SignLast
from hireling.rental.appointment import DelegateOrder, sign_order
from hireling.rental.errors import AppointmentRefused, MandateExceeded, SignatureMismatch
from hireling.rental.mandate import MandateLimits, sign_mandate
from hireling.rental.offer import counter, sign_offer
from hireling.rental.session_document import quote_id_of
from hireling.rental.signing import Secp256k1Key, keccak256
from hireling.rental.table import Outcome, Table
from hireling.rental.tariff import scaled
from hireling.rental.typed_data import Domain
from services.messages.errors import Refused
from services.negotiation.delegating import check_order, decide, record_of
from services.negotiation.session import QuoteSession
from tests.builders import (
    DOMAIN,
    NOW,
    OWNER_KEY,
    RENTER_AGENT_KEY,
    a_key,
    a_listing,
    a_request,
    a_tariff,
    platform_terms,
)
from tests.integration.negotiation.delegates import LIMITS, some_bounds

DELEGATE, STRANGER = a_key("delegate"), a_key("stranger")
LISTING = a_listing(owner_agent=DELEGATE.identity)
REQUEST = a_request(listing=LISTING)
FLOOR_PLACE, UNDER_FLOOR = 20, 21  # of the agenda's prices: 80 and 79 %


def an_order(
    *,
    owner: Secp256k1Key = OWNER_KEY,
    domain: Domain = DOMAIN,
    seconds: int = 3_600,
    limits: MandateLimits = LIMITS,
    **bounds: Any,
) -> DelegateOrder:
    """Return an appointment of the delegate."""
    until = int(NOW.timestamp()) + seconds
    mandate = sign_mandate(
        owner,
        domain,
        agent=DELEGATE.identity,
        limits=limits,
        valid_until=until,
        revocation=keccak256(b"its id"),
    )
    return sign_order(
        owner,
        domain,
        device=LISTING.device,
        bounds=some_bounds(**bounds),
        mandate=mandate,
        valid_until=until,
    )


def a_session(order: DelegateOrder, **changes: Any) -> QuoteSession:
    """Return a session that the delegate has not answered yet."""
    terms: dict[str, Any] = {
        "quote_id": quote_id_of(REQUEST),
        "request": REQUEST,
        "listing": LISTING,
        "mandate": order.mandate,
        "terms": platform_terms(),
        "answer_by": NOW + timedelta(minutes=1),
    }
    return QuoteSession(**(terms | changes))


def decided(
    order: DelegateOrder, quote: QuoteSession, *, later: int = 0, promised: bool = False
) -> OwnersMove:
    """Return the delegate's move."""
    now = NOW + timedelta(seconds=later)
    return decide(
        order, quote, is_promised=lambda _: promised, won_until=None, now=now, salt=keccak256(b"salt")
    )


def asked_for(order: DelegateOrder, outcome: Outcome, *, rounds: int = 1) -> QuoteSession:
    """Return a session in which the renter insists on an outcome, after so many of its offers."""
    quote = a_session(order)
    table = Table(listing=LISTING, request=REQUEST)
    for _ in range(rounds):
        move = decided(order, quote)
        assert isinstance(move, MakeOffer), move
        quote = quote.with_offer(sign_offer(DELEGATE, move.offer), now=NOW)
        answer = counter(quote.offers[-1].offer, terms=table.terms(outcome), now=NOW)
        quote = quote.with_offer(sign_offer(RENTER_AGENT_KEY, answer), now=NOW)
    return quote


class TestDecide:
    def test_begins_with_the_listed_price(self) -> None:
        order = an_order()
        move = decided(order, a_session(order))
        assert isinstance(move, MakeOffer)
        assert move.offer.tariff == LISTING.tariff

    @pytest.mark.parametrize("rounds", [1, 2, 3, 4])
    def test_never_offers_or_takes_anything_under_its_floor(self, rounds: int) -> None:
        order = an_order()
        move = decided(order, asked_for(order, (UNDER_FLOOR, 0, 0, 0, 0), rounds=rounds))
        assert not isinstance(move, SignLast)
        if isinstance(move, MakeOffer):
            order.bounds.check(move.offer)

    def test_takes_its_floor_in_the_last_round(self) -> None:
        order = an_order()
        move = decided(order, asked_for(order, (FLOOR_PLACE, 0, 0, 0, 0), rounds=4))
        assert isinstance(move, SignLast | MakeOffer)
        assert record_of(a_session(order), move, now=NOW).reason == move.reason

    def test_signs_nothing_that_the_strategy_would_take_and_the_owner_forbade(self) -> None:
        order, loose = an_order(), an_order(floor=scaled(a_tariff(), 50, 100))
        quote = asked_for(loose, (30, 0, 0, 0, 0))
        signed = replace(quote, offers=quote.offers[:1], signatures={"renter": b"by the renter"})
        assert isinstance(decided(loose, signed), SignLast)
        tight = an_order(ceiling=scaled(a_tariff(), 90, 100))
        move = decided(tight, replace(signed, mandate=tight.mandate))
        assert isinstance(move, LeaveIt)
        assert move.code == "price_bounds"
        assert order.bounds.floor != loose.bounds.floor

    def test_leaves_a_time_that_is_promised(self) -> None:
        order = an_order()
        move = decided(order, a_session(order), promised=True)
        assert isinstance(move, LeaveIt)
        assert move.code == "slot_taken"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"listing": a_listing()}, "other_parties"),
            ({"listing": a_listing(owner_agent=DELEGATE.identity, owner=STRANGER.identity)}, "other_parties"),
            ({"listing": a_listing(owner_agent=DELEGATE.identity, meter_key=STRANGER)}, "other_parties"),
            ({"mandate": an_order(seconds=99).mandate}, "other_mandate"),
            ({"terms": platform_terms(chain_id=1)}, "wrong_signer"),
        ],
    )
    def test_speaks_for_nobody_who_did_not_appoint_it(self, changes: dict[str, Any], code: str) -> None:
        order = an_order()
        move = decided(order, a_session(order, **changes))
        assert isinstance(move, LeaveIt)
        assert move.code == code

    def test_does_nothing_once_its_time_is_over(self) -> None:
        order = an_order(seconds=10)
        move = decided(order, a_session(order), later=11)
        assert isinstance(move, LeaveIt)
        assert move.code == "expired"

    def test_keeps_what_it_takes_to_repeat_a_decision(self) -> None:
        order = an_order()
        quote = asked_for(order, (40, 0, 0, 0, 0))
        kept = record_of(quote, decided(order, quote), now=NOW)
        assert kept.move == "offer"
        assert kept.decided is not None
        assert kept.decided == record_of(quote, decided(order, quote), now=NOW).decided


class TestCheckOrder:
    def test_takes_what_the_owner_signed(self) -> None:
        check_order(an_order(), domain=DOMAIN, now=NOW)

    @pytest.mark.parametrize(
        "domain", [Domain(chain_id=1, escrow=DOMAIN.escrow), Domain(chain_id=31337, escrow=b"\x01" * 20)]
    )
    def test_is_good_on_one_chain_and_escrow_alone(self, domain: Domain) -> None:
        assert _refused(an_order(domain=domain)) == "wrong_signer"

    def test_is_not_signed_in_the_owners_name_by_others(self) -> None:
        order = an_order(owner=STRANGER)
        signed = order.signed.model_copy(update={"owner": OWNER_KEY.identity})
        mandate = order.mandate.model_copy(update={"principal": OWNER_KEY.identity})
        assert _refused(order.model_copy(update={"signed": signed, "mandate": mandate})) == "wrong_signer"

    def test_goes_with_its_bounds_and_its_mandate(self) -> None:
        order, other = an_order(), an_order(seconds=99)
        looser = some_bounds(floor=scaled(a_tariff(), 10, 100))
        assert _refused(order.model_copy(update={"bounds": looser})) == "other_bounds"
        assert _refused(order.model_copy(update={"mandate": other.mandate})) == "other_mandate"
        tampered = order.mandate.model_copy(update={"limits": LIMITS.model_copy(update={"total": 1})})
        assert _refused(order.model_copy(update={"mandate": tampered})) == "other_limits"

    def test_is_none_once_over_or_where_somebody_would_have_to_be_asked(self) -> None:
        assert _refused(an_order(seconds=-1)) == "expired"
        asking = LIMITS.model_copy(update={"approval_above": 1})
        assert _refused(an_order(limits=asking)) == "approval_threshold"


class TestSignedAppointment:
    def test_shows_a_renter_that_the_delegate_is_entitled(self) -> None:
        signed = an_order().signed
        signed.check_entitles(LISTING, domain=DOMAIN, now=NOW, mandate=an_order().mandate)
        with pytest.raises(AppointmentRefused):
            signed.check_entitles(a_listing(), domain=DOMAIN, now=NOW)
        with pytest.raises(AppointmentRefused):
            signed.check_entitles(LISTING, domain=DOMAIN, now=NOW + timedelta(hours=2))
        with pytest.raises(SignatureMismatch):
            signed.check_entitles(LISTING, domain=Domain(chain_id=1, escrow=DOMAIN.escrow), now=NOW)

    def test_tells_nothing_of_its_bounds(self) -> None:
        order = an_order()
        shown = order.signed.model_dump_json()
        assert order.bounds.salt.hex() not in shown
        other = an_order(salt=keccak256(b"another"))
        assert other.signed.appointment.bounds != order.signed.appointment.bounds

    def test_its_mandate_expires_too(self) -> None:
        with pytest.raises(MandateExceeded):
            an_order(seconds=10).mandate.check(DOMAIN, NOW + timedelta(seconds=11))


class TestBounds:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"ceiling": scaled(a_tariff(), 79, 100)},
            {"least_deposit": 10_001},
            {"shortest_seconds": 86_401},
        ],
    )
    def test_contradict_themselves_nowhere(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="below"):
            some_bounds(**wrong)


def _refused(order: DelegateOrder) -> str:
    with pytest.raises(Refused) as caught:
        check_order(order, domain=DOMAIN, now=NOW)
    return caught.value.code
