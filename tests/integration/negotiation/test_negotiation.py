"""The negotiation service on the in-process bus, with the real listing service."""

import pytest

from hireling.rental.agreement import SignedAgreement
from services.messages.errors import Conflict, NotFound, Refused
from tests.builders import NOW
from tests.fakes.actors import RenterActor
from tests.fakes.front import Front


class TestRequestQuote:
    def test_opens_a_session_that_waits_for_the_owner(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        waiting = front.call("negotiation", "list_open_quotes", front.device.device)
        assert [quote["quote_id"] for quote in waiting] == [quote_id]

    def test_the_same_question_is_the_same_session(self, front: Front) -> None:
        listing = front.offer_for_hire()
        assert front.ask(listing) == front.ask(listing)

    def test_one_open_session_per_renter_and_device(self, front: Front) -> None:
        listing = front.offer_for_hire()
        quote_id = front.ask(listing)
        with pytest.raises(Conflict) as caught:
            front.call("negotiation", "request_quote", front.renter.question(listing.document, seconds=300))
        assert caught.value.fields["quote_id"] == quote_id

    def test_another_session_is_welcome_once_the_first_has_expired(self, front: Front) -> None:
        listing = front.offer_for_hire()
        front.ask(listing)
        front.clock.advance(seconds=61)
        front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())
        again = front.call("negotiation", "request_quote", front.renter.question(listing.document))
        assert again["status"] == "open"

    def test_refuses_a_device_that_is_offline(self, front: Front) -> None:
        listing = front.offer_for_hire()
        front.clock.advance(seconds=31)
        with pytest.raises(Conflict) as caught:
            front.ask(listing)
        assert caught.value.code == "device_offline"

    def test_refuses_a_listing_that_was_replaced(self, front: Front) -> None:
        listing = front.offer_for_hire()
        front.call("listing", "publish_listing", front.device.listing(title="Dearer"))
        with pytest.raises(Conflict) as caught:
            front.ask(listing)
        assert caught.value.code == "listing_replaced"

    def test_refuses_a_stranger_asking_in_a_renters_name(self, front: Front) -> None:
        listing = front.offer_for_hire()
        stranger = RenterActor(clock=front.clock, name="stranger")
        forged = front.renter.question(listing.document).model_copy(
            update={"signature": stranger.question(listing.document).signature}
        )
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "request_quote", forged)
        assert caught.value.code == "signature_mismatch"

    def test_refuses_longer_than_the_listing_offers(self, front: Front) -> None:
        listing = front.offer_for_hire(max_seconds=60)
        with pytest.raises(Refused) as caught:
            front.ask(listing)
        assert caught.value.code == "bad_duration"


class TestBargain:
    def test_one_counter_offer_ends_in_an_agreement_both_signed(self, front: Front) -> None:
        first = front.offered(front.offer_for_hire())
        counter = front.renter.counter_offer(first.offer)
        front.call("negotiation", "make_offer", counter.offer.quote_id, counter)
        quote = front.agree(counter)
        assert quote["status"] == "agreed"
        signed = SignedAgreement.model_validate(
            front.call("negotiation", "get_agreement", quote["rental_id"]), strict=False
        )
        signed.check(NOW)
        assert signed.offer == counter.offer
        front.wait_for_rental(quote["rental_id"])

    def test_every_message_twice_changes_nothing(self, front: Front) -> None:
        first = front.offered(front.offer_for_hire())
        front.call("negotiation", "make_offer", first.offer.quote_id, first)
        once, twice = front.agree(first), front.agree(first)
        assert once == twice

    def test_the_owner_sees_no_work_in_a_session_that_waits_for_the_renter(self, front: Front) -> None:
        front.offered(front.offer_for_hire())
        assert front.call("negotiation", "list_open_quotes", front.device.device) == []

    def test_an_offer_to_no_session_is_not_found(self, front: Front) -> None:
        first = front.offered(front.offer_for_hire())
        with pytest.raises(NotFound):
            front.call("negotiation", "make_offer", "nothing", first)

    def test_relisting_ends_a_question_nobody_answered(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        front.call("listing", "publish_listing", front.device.listing(title="Dearer"))
        front.platform.wait_until(
            lambda: front.call("negotiation", "get_quote", quote_id)["status"] == "ended", timeout=5.0
        )

    def test_a_silent_session_expires(self, front: Front) -> None:
        quote_id = front.ask(front.offer_for_hire())
        front.clock.advance(seconds=61)
        assert front.call("negotiation", "get_quote", quote_id)["status"] == "expired"


class TestTakenDevice:
    def test_serves_one_rental_at_a_time(self, front: Front) -> None:
        listing = front.offer_for_hire()
        second_renter = RenterActor(clock=front.clock, name="second renter")
        first, second = front.offered(listing), front.offered(listing, renter=second_renter)
        agreed = front.agree(first)
        with pytest.raises(Conflict) as caught:
            front.agree(second, renter=second_renter)
        assert caught.value.code == "device_taken"
        assert caught.value.fields["rental_id"] == agreed["rental_id"]
        quote = front.call("negotiation", "get_quote", second.offer.quote_id)
        assert (quote["status"], quote["signed_by"]) == ("open", ["owner"])

    def test_tells_whoever_asks_when_it_is_free(self, front: Front) -> None:
        listing = front.offer_for_hire()
        first = front.offered(listing)
        front.agree(first)
        with pytest.raises(Conflict) as caught:
            front.ask(listing, renter=RenterActor(clock=front.clock, name="second renter"))
        assert caught.value.code == "device_taken"
        assert str(caught.value.fields["until"]).startswith("2030-01-01T12:25:30")

    @pytest.mark.parametrize("state", ["CLOSED", "SETTLED", "EXPIRED", "CANCELLED", "FORCE_CLOSED"])
    def test_is_free_once_the_rental_no_longer_uses_it(self, front: Front, state: str) -> None:
        listing = front.offer_for_hire()
        rental_id = front.agree(front.offered(listing))["rental_id"]
        front.wait_for_rental(rental_id)
        second_renter = RenterActor(clock=front.clock, name="second renter")
        front.call("settlement", "change_rental", rental_id, {"state": state})

        def free() -> bool:
            try:
                front.ask(listing, renter=second_renter)
            except Conflict:
                return False
            return True

        front.platform.wait_until(free, timeout=5.0)

    def test_stays_taken_while_the_rental_runs(self, front: Front) -> None:
        listing = front.offer_for_hire()
        rental_id = front.agree(front.offered(listing))["rental_id"]
        front.wait_for_rental(rental_id)
        for state in ("FUNDED", "ACTIVE", "SUSPENDED", "ENDING"):
            front.call("settlement", "change_rental", rental_id, {"state": state})
        front.platform.wait_until(
            lambda: front.call("settlement", "health")["unsent_events"] == 0, timeout=5.0
        )
        with pytest.raises(Conflict) as caught:
            front.ask(listing, renter=RenterActor(clock=front.clock, name="second renter"))
        assert caught.value.code == "device_taken"
