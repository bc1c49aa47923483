"""The platform's delegate bargains for a machine that never answers, inside what its owner signed."""

from typing import Any

import pytest
from sqlmodel import select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.mandate import sign_revocation
from hireling.rental.session_document import SessionDocument, verify_session
from hireling.rental.tariff import asks_at_least, scaled
from hireling.rental.typed_data import Domain, to_hex
from services.chassis.database import open_database
from services.chassis.runner import running
from services.messages.errors import Forbidden, NotFound, Refused
from services.negotiation import delegate_store
from services.negotiation.models import DelegateKeyRow
from services.negotiation.service import Negotiation
from tests.builders import DOMAIN, NOW, OWNER_KEY, a_key, a_tariff
from tests.fakes.actors import RenterActor
from tests.fakes.front import Front
from tests.integration.negotiation.delegates import Delegated, some_bounds

STRANGER = a_key("stranger")


@pytest.fixture
def owner(front: Front, monkeypatch: pytest.MonkeyPatch) -> Delegated:
    """Return the owner of the machine that never answers."""
    monkeypatch.setenv("NEGOTIATION_PASSPHRASE", "of the delegates' keys")
    return Delegated(front=front)


def keys_of(front: Front) -> list[str]:
    """Return the delegates whose keys are kept."""
    database = open_database(front.urls["negotiation"])
    with database.snapshot() as session:
        rows = list(session.exec(select(DelegateKeyRow.delegate)))
    database.close()
    return rows


def revoke(owner: Delegated, subject: bytes, *, stands: bool = True, later: int = 0) -> None:
    """Send the owner's word."""
    at = owner.front.device.now(later)
    word = sign_revocation(OWNER_KEY, DOMAIN, subject=subject, stands=stands, at=at)
    owner.front.call("negotiation", "revoke_mandate", word)


def refused(owner: Delegated, order: Any) -> str:
    """Return why an appointment is refused."""
    with pytest.raises(Refused) as caught:
        owner.front.call("negotiation", "appoint_delegate", order)
    return caught.value.code


class TestDelegate:
    def test_bargains_to_an_agreement_inside_its_bounds(self, front: Front, owner: Delegated) -> None:
        order, listing = owner.appoint()
        quote = owner.bargain(listing, front.renter)
        assert quote.status == "agreed"
        signed = SignedAgreement.model_validate(
            front.call("negotiation", "get_agreement", to_hex(quote.rental_id or b"")), strict=False
        )
        signed.check(NOW)
        assert signed.agreement.rules.owner_agent == order.signed.appointment.delegate
        order.bounds.check(signed.offer)
        assert len(quote.offers) > 2, "it came about by bargaining"
        front.wait_for_rental(to_hex(signed.rental_id))

    def test_its_session_shows_anybody_that_it_was_entitled(self, front: Front, owner: Delegated) -> None:
        order, listing = owner.appoint()
        quote = owner.bargain(listing, front.renter)
        assert quote.appointment == order.signed
        document = SessionDocument.model_validate(
            front.get(f"/v1/quotes/{quote.quote_id}/documents"), strict=False
        )
        assert "appointed" in " ".join(verify_session(document).checks)
        assert str(order.bounds.salt.hex()) not in document.model_dump_json()

    def test_offers_and_takes_nothing_under_its_floor(self, front: Front, owner: Delegated) -> None:
        _, listing = owner.appoint()
        quote = owner.bargain(listing, front.renter, most=60)
        assert quote.status == "open", "no deal, and the session runs out"
        floor = scaled(a_tariff(), 80, 100)
        assert all(asks_at_least(made.offer.tariff, floor) for made in quote.offers[::2])

    def test_signs_no_last_offer_of_a_renter_under_its_floor(self, front: Front, owner: Delegated) -> None:
        _, listing = owner.appoint()
        quote_id = front.ask(listing)
        for _ in range(4):
            quote = owner.until_renters_turn(quote_id)
            owner.counter(quote, front.renter, listing, (40, 0, 0, 0, 0))
        last = owner.until_renters_turn(quote_id)
        assert "owner" not in last.signed_by

    @pytest.mark.parametrize(
        ("bounds", "code"),
        [
            ({"longest_seconds": 599}, "duration_bounds"),
            ({"most_deposit": 9_999}, "deposit_bounds"),
            ({"ceiling": scaled(a_tariff(), 99, 100)}, "price_bounds"),
        ],
    )
    def test_answers_no_question_outside_its_bounds(
        self, front: Front, owner: Delegated, bounds: dict[str, Any], code: str
    ) -> None:
        _, listing = owner.appoint(bounds=some_bounds(**bounds))
        quote_id = front.ask(listing)
        front.platform.wait_until(lambda: _moves(owner, quote_id) != [], timeout=30)
        assert [move["code"] for move in _moves(owner, quote_id)] == [code]
        assert owner.quote(quote_id).offers == ()

    def test_makes_one_move_a_turn_though_the_renters_message_comes_twice(
        self, front: Front, owner: Delegated
    ) -> None:
        _, listing = owner.appoint()
        quote = owner.until_renters_turn(front.ask(listing))
        made = owner.counter(quote, front.renter, listing, (40, 0, 0, 0, 0))
        front.call("negotiation", "make_offer", quote.quote_id, made)
        after = owner.until_renters_turn(quote.quote_id)
        front.call("negotiation", "make_offer", quote.quote_id, made)
        assert [each.offer.round for each in after.offers] == [0, 1, 2]
        assert [move["round"] for move in _moves(owner, quote.quote_id)] == [0, 2]

    def test_leaves_machines_alone_whose_listing_names_their_own_agent(
        self, front: Front, owner: Delegated
    ) -> None:
        order = owner.order(owner.make_key())
        listing = front.offer_for_hire()
        front.call("negotiation", "appoint_delegate", order)
        quote_id = front.ask(listing)
        front.client.get("/v1/platform")
        other = RenterActor(clock=front.clock, name="another")
        named = owner.list_for(order.mandate)
        answered = owner.until_renters_turn(front.ask(named, renter=other))
        assert len(answered.offers) == 1
        assert owner.quote(quote_id).offers == ()


class TestStopping:
    def test_a_revoked_delegate_does_nothing_more_and_its_key_is_erased(
        self, front: Front, owner: Delegated
    ) -> None:
        order, listing = owner.appoint()
        quote = owner.until_renters_turn(front.ask(listing))
        revoke(owner, order.mandate.mandate.revocation)
        assert keys_of(front) == []
        owner.counter(quote, front.renter, listing, (10, 0, 0, 0, 0))
        front.clock.advance(seconds=5)
        assert _silent(owner, quote.quote_id)
        with pytest.raises(NotFound):
            front.call("negotiation", "get_appointment", owner.device)

    @pytest.mark.parametrize("whom", ["it", "everybody"])
    def test_a_stop_holds_at_once_and_can_be_lifted(self, front: Front, owner: Delegated, whom: str) -> None:
        order, listing = owner.appoint()
        subject = order.signed.appointment.delegate if whom == "it" else b""
        quote = owner.until_renters_turn(front.ask(listing))
        revoke(owner, subject)
        owner.counter(quote, front.renter, listing, (40, 0, 0, 0, 0))
        assert _silent(owner, quote.quote_id)
        revoke(owner, subject, stands=False, later=1)
        assert len(owner.until_renters_turn(quote.quote_id).offers) == 3

    def test_does_nothing_after_its_time_and_its_key_is_erased(self, front: Front, owner: Delegated) -> None:
        _, listing = owner.appoint(seconds=100)
        quote = owner.until_renters_turn(front.ask(listing))
        front.clock.advance(seconds=101)
        owner.counter(quote, front.renter, listing, (10, 0, 0, 0, 0))
        front.platform.wait_until(lambda: keys_of(front) == [], timeout=60)
        assert len(owner.quote(quote.quote_id).offers) == 2


class TestAppointDelegate:
    def test_the_same_appointment_again_changes_nothing(self, front: Front, owner: Delegated) -> None:
        order, _ = owner.appoint()
        again = front.call("negotiation", "appoint_delegate", order)
        assert again == order.signed.model_dump(mode="json")
        assert front.call("negotiation", "get_appointment", owner.device) == again

    def test_a_later_one_takes_its_place_and_its_key(self, front: Front, owner: Delegated) -> None:
        first, _ = owner.appoint()
        second = owner.order(owner.make_key(), nonce=b"another")
        front.call("negotiation", "appoint_delegate", second)
        assert keys_of(front) == [to_hex(second.signed.appointment.delegate)]
        assert refused(owner, first) == "unknown_delegate"

    def test_is_not_brought_back_after_it_was_revoked(self, front: Front, owner: Delegated) -> None:
        order, _ = owner.appoint()
        revoke(owner, order.mandate.mandate.revocation)
        assert refused(owner, order) == "mandate_exceeded"

    def test_nobody_but_the_owner_appoints_and_only_for_this_chain(self, owner: Delegated) -> None:
        delegate = owner.make_key()
        elsewhere = Domain(chain_id=1, escrow=DOMAIN.escrow)
        assert refused(owner, owner.order(delegate, owner=STRANGER)) == "not_the_owner"
        assert refused(owner, owner.order(delegate, domain=elsewhere)) == "wrong_signer"

    def test_takes_no_key_that_was_not_made_here(self, owner: Delegated) -> None:
        owner.make_key()
        assert refused(owner, owner.order(STRANGER.identity)) == "unknown_delegate"

    def test_a_key_waits_for_its_appointment_and_is_made_for_known_machines(
        self, front: Front, owner: Delegated
    ) -> None:
        assert owner.make_key() == owner.make_key()
        with pytest.raises(NotFound):
            front.call("negotiation", "make_delegate_key", f"0x{'00' * 32}")


class TestWhy:
    def test_is_told_to_the_owner_alone(self, front: Front, owner: Delegated) -> None:
        _, listing = owner.appoint()
        quote = owner.bargain(listing, front.renter)
        told = owner.story(quote.quote_id)
        assert told["story"]["decisions"][0]["rule"]
        assert told["story"]["signed"]["signed"] == to_hex(quote.rental_id or b"")
        assert told["moves"][0]["move"] == "offer"
        for nobody in (STRANGER, front.renter.wallet, front.renter.session_key):
            with pytest.raises(Forbidden):
                owner.story(quote.quote_id, owner=nobody)
        with pytest.raises(Forbidden):
            owner.story(quote.quote_id, at=front.device.now(-61))
        with pytest.raises(Forbidden):
            owner.story(quote.quote_id, subject=b"\x01" * 16)


class TestTurns:
    def test_two_copies_of_the_service_make_one_move_a_turn(self, front: Front, owner: Delegated) -> None:
        _, listing = owner.appoint()
        renters = [RenterActor(clock=front.clock, name=f"renter {number}") for number in range(6)]
        with running(Negotiation, databases=front.urls, clock=front.clock):
            quotes = [front.ask(listing, renter=renter) for renter in renters]
            for quote_id, renter in zip(quotes, renters, strict=True):
                quote = owner.until_renters_turn(quote_id)
                owner.counter(quote, renter, listing, (40, 0, 0, 0, 0))
            after = [owner.until_renters_turn(quote_id) for quote_id in quotes]
        assert [[made.offer.round for made in quote.offers] for quote in after] == [[0, 1, 2]] * 6
        assert [len(_moves(owner, quote_id)) for quote_id in quotes] == [2] * 6

    def test_what_broke_off_in_the_middle_of_a_move_left_nothing_and_is_made_later(
        self, front: Front, owner: Delegated, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, listing = owner.appoint()
        broken: list[str] = []
        keep = delegate_store.add_decision

        def break_off(session: Any, row: Any) -> None:
            keep(session, row)
            if len(broken) < 3:
                broken.append(row.quote_id)
                raise RuntimeError("killed after the move was written, before it was durable")

        monkeypatch.setattr(delegate_store, "add_decision", break_off)
        quote_id = front.ask(listing)
        front.platform.wait_until(lambda: broken != [], timeout=30)
        quote = owner.until_renters_turn(quote_id)
        assert broken == [quote_id] * 3
        assert [made.offer.round for made in quote.offers] == [0]
        assert len(_moves(owner, quote_id)) == 1


def _moves(owner: Delegated, quote_id: str) -> list[Any]:
    try:
        moves: list[Any] = owner.story(quote_id)["moves"]
    except NotFound:
        return []
    return moves


def _silent(owner: Delegated, quote_id: str) -> bool:
    """Return whether nothing is answered in a session while another machine's delegate would be.

    The platform's delegates look four times a second: three looks without an answer.
    """
    before = len(owner.quote(quote_id).offers)
    looks = iter(range(30))
    try:
        owner.front.platform.wait_until(
            lambda: len(owner.quote(quote_id).offers) != before or next(looks, None) is None, timeout=30
        )
    finally:
        after = len(owner.quote(quote_id).offers)
    return after == before
