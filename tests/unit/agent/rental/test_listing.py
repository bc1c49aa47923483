"""Listings and heartbeats."""

from typing import Any

import pytest
from pydantic import ValidationError

from hireling.rental.errors import SignatureMismatch
from hireling.rental.listing import Place, SignedListing, sign_listing
from tests.builders import DOMAIN, METER_KEY, OWNER_AGENT_KEY, OWNER_KEY, RENTER_KEY, a_listing


class TestListingDocument:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"device": bytes(32)}, "not the hash of its meter's key"),
            ({"time_factor": 0}, "time_factor is 0"),
            ({"ceiling_seconds": 0}, "ceiling_seconds is 0"),
            ({"max_seconds": 0}, "max_seconds is 0"),
            ({"thing": {"width": 1.5}}, "no place in a signed document"),
            ({"thing": {"text": "x" * 70_000}}, "a Thing Description of 700"),
            ({"kind": "3D printer"}, "should match pattern"),
            ({"title": ""}, "at least 1 character"),
        ],
    )
    def test_refuses_what_no_renter_could_use(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            a_listing(**changes)

    def test_says_nothing_of_bookings_where_it_takes_none(self) -> None:
        assert not {"books_ahead", "turnaround"} & set(a_listing().model_dump(mode="json"))
        said = a_listing(books_ahead=86_400, turnaround=60).model_dump(mode="json")
        assert (said["books_ahead"], said["turnaround"]) == ("86400", "60")

    def test_place_is_coarse(self) -> None:
        place = Place(country="DE", city="Leipzig", lat_e3=51_340, lon_e3=12_375)
        assert a_listing(place=place).place == place
        with pytest.raises(ValidationError):
            Place.model_validate({"country": "DE", "city": "Leipzig", "lat_e3": 51.3397})


class TestSignedListing:
    def test_is_its_owners_or_its_owners_agents_and_nobody_elses(self) -> None:
        for key in (OWNER_AGENT_KEY, OWNER_KEY):
            sign_listing(key, DOMAIN, a_listing()).check(DOMAIN)
        for stranger in (RENTER_KEY, METER_KEY):
            with pytest.raises(SignatureMismatch):
                sign_listing(stranger, DOMAIN, a_listing()).check(DOMAIN)

    def test_survives_json_with_its_hash(self) -> None:
        signed = sign_listing(OWNER_AGENT_KEY, DOMAIN, a_listing())
        again = SignedListing.model_validate_json(signed.model_dump_json())
        again.check(DOMAIN)
        assert again.hash == signed.hash

    def test_covers_every_term(self) -> None:
        signed = sign_listing(OWNER_AGENT_KEY, DOMAIN, a_listing())
        with pytest.raises(SignatureMismatch):
            signed.model_copy(update={"document": a_listing(title="Another")}).check(DOMAIN)
