"""The listing service on the in-process bus."""

import pytest

from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedMandate
from services.messages.errors import Conflict, Invalid, NotFound, Refused
from services.messages.listing import DeviceView, ListingView
from tests.builders import OWNER_KEY, a_key, a_listing, a_mandate
from tests.fakes.actors import DeviceActor
from tests.fakes.front import Front


class TestRegisterDevice:
    def test_admits_a_device_and_notes_its_registration_on_the_chain(self, front: Front) -> None:
        front.admit()
        device = front.call("listing", "get_device", front.device.device)
        assert device["registered"] is True
        assert device["tx_hash"].startswith("0x")

    def test_is_idempotent(self, front: Front) -> None:
        first = front.call("listing", "register_device", front.device.registration())
        second = front.call("listing", "register_device", front.device.registration())
        assert second["device"] == first["device"]
        assert len(front.call("listing", "list_devices", None, 50)["items"]) == 1

    def test_renews_the_mandate_by_a_later_proof(self, front: Front) -> None:
        front.admit()
        new_agent = a_key("new agent")
        renewed = a_mandate(agent_key=new_agent)
        wish = front.device.registration(
            mandate=renewed, owner_agent=new_agent.identity, valid_until=front.device.now(7_200)
        )
        assert (
            front.call("listing", "register_device", wish)["owner_agent"] == f"0x{new_agent.identity.hex()}"
        )

    def test_refuses_an_old_proof_that_would_bring_back_an_old_agent(self, front: Front) -> None:
        front.admit()
        old_agent = a_key("old agent")
        wish = front.device.registration(
            mandate=a_mandate(agent_key=old_agent),
            owner_agent=old_agent.identity,
            valid_until=front.device.now(60),
        )
        with pytest.raises(Refused) as caught:
            front.call("listing", "register_device", wish)
        assert caught.value.code == "registration_superseded"

    def test_refuses_another_owners_mandate(self, front: Front) -> None:
        stranger: SignedMandate = a_mandate(principal_key=a_key("stranger"))
        with pytest.raises(Refused) as caught:
            front.call("listing", "register_device", front.device.registration(mandate=stranger))
        assert caught.value.code == "mandate_of_others"

    def test_refuses_a_proof_signed_for_another_owner(self, front: Front) -> None:
        stranger = a_key("stranger")
        wish = front.device.registration(owner=stranger.identity, mandate=a_mandate(principal_key=stranger))
        with pytest.raises(Refused) as caught:
            front.call("listing", "register_device", wish)
        assert caught.value.code == "possession_not_proven"

    def test_leaves_a_device_with_its_owner(self, front: Front) -> None:
        front.admit()
        other = a_key("other owner")
        wish = front.device.registration(
            owner_key=other, mandate=a_mandate(principal_key=other), valid_until=front.device.now(7_200)
        )
        with pytest.raises(Conflict) as caught:
            front.call("listing", "register_device", wish)
        assert caught.value.fields["owner"] == f"0x{OWNER_KEY.identity.hex()}"

    def test_does_not_know_a_device_that_never_came(self, front: Front) -> None:
        with pytest.raises(NotFound):
            front.call("listing", "get_device", front.device.device)


class TestGetDevice:
    def test_says_what_a_device_view_says(self, front: Front) -> None:
        front.offer_for_hire()
        front.call("listing", "heartbeat", front.device.device, front.device.heartbeat())
        shown = front.call("listing", "get_device", front.device.device)
        assert DeviceView.model_validate(shown, strict=False).model_dump(mode="json") == shown
        assert shown["last_seen"] is not None


class TestPublishListing:
    def test_makes_a_listing_the_one_that_counts(self, front: Front) -> None:
        first = front.offer_for_hire()
        second = front.device.listing(title="Another name")
        front.call("listing", "publish_listing", second)
        found = front.call("listing", "search_listings", {})["items"]
        assert [
            ListingView.model_validate(each, strict=False).model_dump(mode="json") for each in found
        ] == found
        assert [listing["document"]["title"] for listing in found] == ["Another name"]
        old = front.call("listing", "get_listing", f"0x{first.hash.hex()}")
        assert old["document"]["title"] == first.document.title

    def test_ignores_a_listing_that_came_before(self, front: Front) -> None:
        first = front.offer_for_hire()
        second = front.device.listing(title="Another name")
        front.call("listing", "publish_listing", second)
        front.call("listing", "publish_listing", first)
        found = front.call("listing", "search_listings", {})["items"]
        assert [listing["document"]["title"] for listing in found] == ["Another name"]

    def test_refuses_a_device_nobody_registered(self, front: Front) -> None:
        with pytest.raises(NotFound):
            front.call("listing", "publish_listing", front.device.listing())

    def test_refuses_one_that_is_good_for_more_than_a_day(self, front: Front) -> None:
        front.admit()
        with pytest.raises(Refused) as caught:
            front.call(
                "listing", "publish_listing", front.device.listing(valid_until=front.device.now(90_000))
            )
        assert caught.value.code == "listing_expiry"

    def test_refuses_a_forged_signature(self, front: Front) -> None:
        front.admit()
        signed = front.device.listing()
        forged = signed.model_copy(
            update={"document": a_listing(title="Cheaper", valid_until=front.device.now(60))}
        )
        with pytest.raises(Refused) as caught:
            front.call("listing", "publish_listing", forged)
        assert caught.value.code == "signature_mismatch"

    def test_refuses_a_kind_outside_the_mandate(self, front: Front) -> None:
        wish = front.device.registration(mandate=a_mandate(kinds=("3d-printer",)))
        front.call("listing", "register_device", wish)
        with pytest.raises(Refused) as caught:
            front.call("listing", "publish_listing", front.device.listing())
        assert caught.value.code == "kind_not_allowed"


class TestHeartbeat:
    def test_makes_a_device_online_for_thirty_seconds(self, front: Front) -> None:
        front.offer_for_hire()
        front.clock.advance(seconds=30)
        assert front.call("listing", "search_listings", {"online": True})["items"]
        front.clock.advance(seconds=1)
        assert not front.call("listing", "search_listings", {"online": True})["items"]
        assert front.call("listing", "search_listings", {"online": False})["items"]

    def test_the_same_one_again_changes_nothing(self, front: Front) -> None:
        front.offer_for_hire()
        beat = front.device.heartbeat()
        seen = front.call("listing", "get_device", front.device.device)["last_seen"]
        front.clock.advance(seconds=20)
        assert front.call("listing", "heartbeat", front.device.device, beat)["last_seen"] == seen

    def test_an_older_one_is_refused(self, front: Front) -> None:
        front.offer_for_hire()
        with pytest.raises(Refused) as caught:
            front.call(
                "listing", "heartbeat", front.device.device, front.device.heartbeat(at=front.device.now(-1))
            )
        assert caught.value.code == "heartbeat_old"

    def test_one_from_a_clock_a_minute_off_is_refused(self, front: Front) -> None:
        front.admit()
        with pytest.raises(Refused) as caught:
            front.call(
                "listing", "heartbeat", front.device.device, front.device.heartbeat(at=front.device.now(61))
            )
        assert caught.value.code == "clock_off"

    def test_another_meters_is_refused(self, front: Front) -> None:
        front.admit()
        impostor = DeviceActor(clock=front.clock, meter=a_key("impostor"))
        beat = front.device.heartbeat().model_copy(update={"signature": impostor.heartbeat().signature})
        with pytest.raises(Refused) as caught:
            front.call("listing", "heartbeat", front.device.device, beat)
        assert caught.value.code == "signature_mismatch"


class TestSearchListings:
    def test_pages_through_everything_once_newest_first(self, front: Front) -> None:
        for number in range(5):
            front.offer_for_hire(
                DeviceActor(clock=front.clock, meter=a_key(f"meter {number}")), title=f"Machine {number}"
            )
            front.clock.advance(seconds=1)
        titles, cursor = [], None
        for _ in range(3):
            page = front.call("listing", "search_listings", {"limit": 2, "cursor": cursor})
            titles += [listing["document"]["title"] for listing in page["items"]]
            cursor = page["next"]
        assert titles == [f"Machine {number}" for number in (4, 3, 2, 1, 0)]
        assert cursor is None

    def test_finds_words_in_any_order_and_case(self, front: Front) -> None:
        front.offer_for_hire(title="Prusa MK4 in Oslo")
        assert front.call("listing", "search_listings", {"q": "OSLO prusa"})["items"]
        assert not front.call("listing", "search_listings", {"q": "oslo ender"})["items"]

    def test_takes_no_wildcard_from_outside(self, front: Front) -> None:
        front.offer_for_hire()
        assert not front.call("listing", "search_listings", {"q": "%"})["items"]

    def test_narrows_by_kind(self, front: Front) -> None:
        front.offer_for_hire()
        assert front.call("listing", "search_listings", {"kind": "appliance"})["items"]
        assert not front.call("listing", "search_listings", {"kind": "computer"})["items"]

    def test_shows_no_listing_past_its_time(self, front: Front) -> None:
        front.offer_for_hire()
        front.clock.advance(seconds=3_601)
        assert not front.call("listing", "search_listings", {})["items"]

    def test_hands_on_what_was_signed_whatever_stands_in_it(self, front: Front) -> None:
        listing = front.offer_for_hire(title='A "lathe" \\ \u00fc \U0001f527 {"error": null}')
        answer = front.client.get("/v1/listings").json
        assert answer is not None
        (found,) = answer["items"]
        assert (
            SignedListing.model_validate(
                {"document": found["document"], "signature": found["signature"]}, strict=False
            )
            == listing
        )
        assert answer == front.call("listing", "search_listings", {})
        assert found == front.get(f"/v1/listings/{found['listing']}")

    def test_finds_a_word_with_signs_that_mean_something_to_sql(self, front: Front) -> None:
        front.offer_for_hire(title="100%_a/b\\c'd")
        for word in ("100%", "%_a", "a/b", "b\\c", "c'd"):
            assert front.call("listing", "search_listings", {"q": word})["items"], word
        for word in ("1%0", "100__a", "a_b", "/%"):
            assert not front.call("listing", "search_listings", {"q": word})["items"], word

    def test_pages_through_words_of_the_same_moment(self, front: Front) -> None:
        for number in range(5):
            front.offer_for_hire(
                DeviceActor(clock=front.clock, meter=a_key(f"meter {number}")), title=f"Machine {number}"
            )
        titles, cursor = [], None
        for _ in range(3):
            page = front.call("listing", "search_listings", {"q": "machine", "limit": 2, "cursor": cursor})
            titles += [listing["document"]["title"] for listing in page["items"]]
            cursor = page["next"]
        assert sorted(titles) == [f"Machine {number}" for number in range(5)]
        assert cursor is None

    def test_shows_what_was_listed_a_day_ago_until_its_time_is_over(self, front: Front) -> None:
        front.offer_for_hire(valid_until=front.device.now(86_400))
        front.clock.advance(seconds=86_399)
        assert front.call("listing", "search_listings", {})["items"]
        front.clock.advance(seconds=1)
        assert not front.call("listing", "search_listings", {})["items"]

    def test_refuses_a_cursor_it_never_gave(self, front: Front) -> None:
        with pytest.raises(Invalid) as caught:
            front.call("listing", "search_listings", {"cursor": "eHh4"})
        assert caught.value.code == "cursor_invalid"
