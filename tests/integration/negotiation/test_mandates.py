"""What an owner's agent may sign on the platform: all its sessions together stay within one mandate."""

from typing import Any

import eventlet
import pytest

from hireling.rental.approval import SignedApproval, sign_approval
from hireling.rental.mandate import SignedMandate, SignedRevocation, sign_revocation
from hireling.rental.offer import SignedOffer
from hireling.rental.typed_data import to_hex
from services.messages.errors import Refused
from tests.builders import DOMAIN, OWNER_AGENT_KEY, OWNER_KEY, RENTER_KEY, a_mandate, an_offer
from tests.fakes.actors import PROOF_SECONDS, RenterActor
from tests.fakes.front import Front

ALL_IN = an_offer().all_in
AGENTS, ROOM_FOR = 50, 20


def a_word(front: Front, *, stands: bool = True, subject: bytes = b"", **changes: Any) -> SignedRevocation:
    """Return the owner's word on all its agents."""
    at = int(front.clock.now().timestamp())
    return sign_revocation(changes.get("key", OWNER_KEY), DOMAIN, subject=subject, stands=stands, at=at)


def listed_under(front: Front, mandate: SignedMandate) -> None:
    """Register the device under a mandate."""
    later = front.device.now(PROOF_SECONDS + 1)
    registration = front.device.registration(mandate=mandate, valid_until=later)
    front.call("listing", "register_device", registration)


def offers(front: Front, number: int, mandate: SignedMandate) -> list[SignedOffer]:
    """Return first offers of the one device to so many renters."""
    listing = front.offer_for_hire()
    listed_under(front, mandate)
    return [
        front.offered(listing, renter=RenterActor(clock=front.clock, name=f"renter {each}"))
        for each in range(number)
    ]


def owner_signs(front: Front, offer: SignedOffer) -> str:
    """Have the owner's agent sign; return the limit that stood in the way, or an empty text."""
    try:
        front.call("negotiation", "sign_agreement", front.device.signature(offer.offer))
    except Refused as error:
        return str(error.fields["limit"])
    return ""


class TestOneMandate:
    @pytest.mark.timeout(300)
    def test_is_never_exceeded_by_fifty_signatures_at_once(self, front: Front) -> None:
        made = offers(front, AGENTS, a_mandate(total=ROOM_FOR * ALL_IN + ALL_IN // 2))
        pool = eventlet.GreenPool(AGENTS)
        answers = list(pool.imap(lambda offer: owner_signs(front, offer), made))
        assert sorted(answers) == [""] * ROOM_FOR + ["total"] * (AGENTS - ROOM_FOR)

    def test_counts_a_repeated_signature_once(self, front: Front) -> None:
        first, second = offers(front, 2, a_mandate(total=2 * ALL_IN))
        assert [owner_signs(front, offer) for offer in (first, first, first, second)] == [""] * 4

    def test_has_room_again_for_what_a_rental_did_not_use(self, front: Front) -> None:
        first, second = offers(front, 2, a_mandate(total=ALL_IN + 10))
        rental_id = front.agree(first, renter=RenterActor(clock=front.clock, name="renter 0"))["rental_id"]
        front.wait_for_rental(rental_id)
        assert owner_signs(front, second) == "total"
        front.call("settlement", "change_rental", rental_id, {"state": "CANCELLED"})
        front.platform.wait_until(lambda: owner_signs(front, second) == "", timeout=10.0)

    def test_keeps_what_a_rental_was_paid(self, front: Front) -> None:
        first, second = offers(front, 2, a_mandate(total=2 * ALL_IN - 10))
        rental_id = front.agree(first, renter=RenterActor(clock=front.clock, name="renter 0"))["rental_id"]
        front.wait_for_rental(rental_id)
        front.call("settlement", "change_rental", rental_id, {"state": "ACTIVE"})
        assert owner_signs(front, second) == "total"
        front.call("settlement", "issue_bill", rental_id, ALL_IN - 10)
        front.platform.wait_until(lambda: owner_signs(front, second) == "", timeout=10.0)


class TestRevocation:
    def test_stops_offers_questions_and_signatures_at_once(self, front: Front) -> None:
        (offer,) = offers(front, 1, a_mandate())
        counts = front.call("negotiation", "revoke_mandate", a_word(front))
        assert counts["revocation"]["stands"]
        assert owner_signs(front, offer) == "revoked"
        with pytest.raises(Refused) as caught:
            front.ask(front.device.listing(), renter=RenterActor(clock=front.clock, name="another"))
        assert caught.value.fields["limit"] == "revoked"

    @pytest.mark.parametrize("subject", [a_mandate().mandate.revocation, OWNER_AGENT_KEY.identity])
    def test_is_of_one_mandate_or_one_agent_too(self, front: Front, subject: bytes) -> None:
        (offer,) = offers(front, 1, a_mandate())
        front.call("negotiation", "revoke_mandate", a_word(front, subject=subject))
        assert owner_signs(front, offer) == "revoked"

    def test_is_lifted_by_a_later_word(self, front: Front) -> None:
        (offer,) = offers(front, 1, a_mandate())
        front.call("negotiation", "revoke_mandate", a_word(front))
        front.clock.advance(seconds=1)
        front.call("negotiation", "revoke_mandate", a_word(front, stands=False))
        assert owner_signs(front, offer) == ""

    def test_of_a_stranger_stops_nobody(self, front: Front) -> None:
        (offer,) = offers(front, 1, a_mandate())
        front.call("negotiation", "revoke_mandate", a_word(front, key=RENTER_KEY))
        forged = a_word(front, key=RENTER_KEY).model_copy(update={"principal": OWNER_KEY.identity})
        with pytest.raises(Refused) as caught:
            front.call("negotiation", "revoke_mandate", forged)
        assert caught.value.code == "wrong_signer"
        assert owner_signs(front, offer) == ""

    def test_is_told_to_whoever_asks(self, front: Front) -> None:
        front.call("negotiation", "revoke_mandate", a_word(front))
        told = front.call("negotiation", "list_revocations", to_hex(OWNER_KEY.identity))
        assert [SignedRevocation.model_validate(word, strict=False) for word in told] == [a_word(front)]


class TestApproval:
    def test_the_first_word_of_a_principal_counts(self, front: Front) -> None:
        at = int(front.clock.now().timestamp())
        yes, no = (
            sign_approval(OWNER_KEY, DOMAIN, rental_id=bytes(32), granted=granted, at=at)
            for granted in (True, False)
        )
        for word in (no, yes, no):
            counts = front.call("negotiation", "approve_rental", word)
            assert SignedApproval.model_validate(counts, strict=False) == no
        told = front.get(f"/v1/approvals/0x{bytes(32).hex()}")["items"]
        assert [SignedApproval.model_validate(word, strict=False) for word in told] == [no]

    def test_in_somebody_elses_name_is_refused(self, front: Front) -> None:
        word = sign_approval(RENTER_KEY, DOMAIN, rental_id=bytes(32), granted=True, at=1)
        answer = front.post("/v1/approvals", word.model_copy(update={"principal": OWNER_KEY.identity}))
        assert answer.status_code == 403
        assert answer.json is not None
        assert answer.json["code"] == "wrong_signer"
