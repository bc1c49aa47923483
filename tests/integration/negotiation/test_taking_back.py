"""An agreement that the platform lost is taken back from whoever has it, and nothing else is."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.mandate import sign_revocation
from hireling.rental.typed_data import to_hex
from services.chassis.database import open_database
from services.messages.errors import Conflict, Unavailable
from services.negotiation.models import MandateReservation
from services.negotiation.taking_back import Lost, take_back
from tests.builders import DOMAIN, NOW, OWNER_KEY, a_key, a_mandate, an_offer, signed_agreement
from tests.fakes.actors import RenterActor
from tests.fakes.clock import FixedClock
from tests.fakes.front import Front, postgresql_urls, running_front, sqlite_urls
from tests.fakes.settlement.service import FakeSettlement

STRANGER = a_key("stranger")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
def front(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Run the front, restored from a backup since whose moment a rental was agreed and opened."""
    monkeypatch.setattr(FakeSettlement, "money", "open")
    with ExitStack() as cleanup:
        urls = sqlite_urls(tmp_path)
        if request.param == "postgresql":
            urls = postgresql_urls(cleanup)
        yield cleanup.enter_context(running_front(urls, clock=FixedClock(NOW)))


def hand_in(front: Front, signed: SignedAgreement, **path: str) -> Any:
    """Hand in an agreement; return the response."""
    rental_id = path.get("rental_id", to_hex(signed.rental_id))
    return front.client.put(f"/v1/agreements/{rental_id}", json=signed.model_dump(mode="json"))


def busy(front: Front) -> list[bool]:
    """Return the slots of the device's calendar, whether each is funded."""
    slots = front.get(f"/v1/devices/{front.device.device}/calendar")["busy"]
    return [slot["funded"] for slot in slots]


def counted(front: Front) -> list[tuple[str, str, str]]:
    """Return what is counted against mandates."""
    with closing(open_database(front.urls["negotiation"])) as database, database.snapshot() as session:
        rows = session.exec(select(MandateReservation))
        return [(row.rental_id, row.stage, row.amount) for row in rows]


class TestALostAgreement:
    def test_is_known_to_everybody_again(self, front: Front) -> None:
        front.offer_for_hire()
        signed = signed_agreement()
        rental_id = to_hex(signed.rental_id)
        assert hand_in(front, signed).json == signed.model_dump(mode="json")
        front.wait_for_rental(rental_id)
        front.platform.wait_until(
            lambda: front.client.get(f"/v1/rentals/{rental_id}/ceilings").status_code == 200, timeout=20.0
        )
        assert front.get(f"/v1/agreements/{rental_id}") == signed.model_dump(mode="json")
        assert counted(front) == [(rental_id, "opened", str(signed.agreement.all_in))]
        assert busy(front) == [False]
        front.call("settlement", "change_rental", rental_id, {"state": "FUNDED"})
        front.platform.wait_until(lambda: busy(front) == [True], timeout=20.0)

    def test_keeps_others_off_its_time(self, front: Front) -> None:
        listing = front.offer_for_hire()
        hand_in(front, signed_agreement())
        with pytest.raises(Conflict, match="promised"):
            front.ask(listing, renter=RenterActor(clock=front.clock, name="another"))

    def test_is_taken_back_once(self, front: Front) -> None:
        front.offer_for_hire()
        signed = signed_agreement()
        assert [hand_in(front, signed).status_code for _ in range(3)] == [200] * 3
        front.wait_for_rental(to_hex(signed.rental_id))
        assert len(counted(front)) == len(busy(front)) == 1

    def test_that_both_sides_hand_in_at_once_is_taken_back_in_turn(
        self, front: Front, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front.offer_for_hire()
        signed = signed_agreement()
        hand_in(front, signed)

        def looks_too_early(session: Session, *_: Any) -> None:
            # What was added so far is written before each look, as always.
            session.flush()

        with closing(open_database(front.urls["negotiation"])) as database, monkeypatch.context() as patched:
            patched.setattr(Session, "get", looks_too_early)
            lost = Lost(signed=signed, mandate=a_mandate(), listing=None)
            with pytest.raises(Unavailable, match="another transaction came between"):
                database.work(lambda session: take_back(session, lost, hold=timedelta(seconds=60), now=NOW))

    def test_ends_the_session_that_was_restored_as_it_was_before(self, front: Front) -> None:
        offer = front.offered(front.offer_for_hire())
        assert hand_in(front, signed_agreement(offer=offer.offer)).status_code == 200
        quote = front.call("negotiation", "get_quote", offer.offer.quote_id)
        assert quote["status"] == "ended"
        with pytest.raises(Conflict, match="quote is ended"):
            front.agree(offer)

    def test_of_a_session_that_was_kept_changes_nothing(self, front: Front) -> None:
        offer = front.offered(front.offer_for_hire())
        front.agree(offer)
        assert hand_in(front, signed_agreement(offer=offer.offer)).status_code == 200
        assert front.call("negotiation", "get_quote", offer.offer.quote_id)["status"] == "agreed"


class TestWhatIsNotTaken:
    @pytest.mark.parametrize(("money", "code"), [("none", "not_opened"), ("done", "already_paid_out")])
    def test_without_its_money_in_the_escrow(
        self, front: Front, monkeypatch: pytest.MonkeyPatch, money: str, code: str
    ) -> None:
        monkeypatch.setattr(FakeSettlement, "money", money)
        front.offer_for_hire()
        self.is_not(front, signed_agreement(), code, status=409)

    @pytest.mark.parametrize("term", ["fee_bps", "fee_to", "arbiter"])
    def test_on_other_terms_than_ours(self, front: Front, term: str) -> None:
        front.offer_for_hire()
        changes: dict[str, Any] = {term: 1 if term == "fee_bps" else b"\x77" * 20}
        self.is_not(front, signed_agreement(offer=an_offer(**changes)), "not_the_platforms_terms")

    def test_of_a_strangers_who_names_somebody_elses_machine(self, front: Front) -> None:
        front.offer_for_hire()
        as_agent = an_offer(owner_agent=STRANGER.identity)
        as_owner = an_offer(owner_agent=STRANGER.identity, owner=STRANGER.identity)
        for offer in (as_agent, as_owner):
            self.is_not(front, signed_agreement(offer=offer, owner_key=STRANGER), "not_the_owners")

    @pytest.mark.parametrize("side", ["owner_key", "renter_key"])
    def test_signed_by_one_side_alone(self, front: Front, side: str) -> None:
        front.offer_for_hire()
        keys: dict[str, Any] = {side: STRANGER}
        self.is_not(front, signed_agreement(**keys), "wrong_signer")

    def test_for_a_machine_that_is_not_registered_here(self, front: Front) -> None:
        self.is_not(front, signed_agreement(), "device_not_found", status=404)

    def test_by_an_agent_whom_the_owner_stopped(self, front: Front) -> None:
        front.offer_for_hire()
        at = int(front.clock.now().timestamp())
        word = sign_revocation(OWNER_KEY, DOMAIN, subject=b"", stands=True, at=at)
        front.call("negotiation", "revoke_mandate", word)
        self.is_not(front, signed_agreement(), "mandate_exceeded")

    def test_of_a_session_of_others(self, front: Front) -> None:
        listing = front.offer_for_hire()
        theirs = front.ask(listing, renter=RenterActor(clock=front.clock, name="another"))
        self.is_not(front, signed_agreement(offer=an_offer(quote_id=theirs)), "other_session", status=409)

    def test_of_a_session_that_led_to_another_agreement(self, front: Front) -> None:
        offer = front.offered(front.offer_for_hire())
        front.agree(offer)
        other = an_offer(quote_id=offer.offer.quote_id, salt=b"\x01" * 32)
        response = hand_in(front, signed_agreement(offer=other))
        assert (response.status_code, response.json["code"]) == (409, "agreed_otherwise")

    def test_under_another_rentals_name(self, front: Front) -> None:
        front.offer_for_hire()
        response = hand_in(front, signed_agreement(), rental_id=f"0x{'11' * 32}")
        assert (response.status_code, response.json["code"]) == (422, "other_rental")

    @staticmethod
    def is_not(front: Front, signed: SignedAgreement, code: str, *, status: int = 403) -> None:
        """It is refused, and leaves nothing."""
        response = hand_in(front, signed)
        assert (response.status_code, response.json["code"]) == (status, code)
        assert counted(front) == []
        missing = front.client.get(f"/v1/agreements/{to_hex(signed.rental_id)}")
        assert missing.status_code == 404
