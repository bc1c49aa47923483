"""A session's documents: whoever has them replays it, and notices anything that was changed."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from hireling.rental.errors import RentalError
from hireling.rental.offer import quote_of
from hireling.rental.session_document import SessionDocument, verify_session
from hireling.rental.signing import sign
from services.messages.errors import NotFound
from tests.builders import OWNER_AGENT_KEY, RENTER_AGENT_KEY, a_mandate
from tests.fakes.front import Front

Json = dict[str, Any]


def documents(front: Front, *, agreed: bool = True) -> Json:
    """Have a session with one counter-offer, and return its documents as they travel."""
    first = front.offered(front.offer_for_hire())
    counter = front.renter.counter_offer(first.offer)
    front.clock.advance(seconds=3)
    front.call("negotiation", "make_offer", first.offer.quote_id, counter)
    front.clock.advance(seconds=4)
    if agreed:
        front.agree(counter)
    found: Json = front.get(f"/v1/quotes/{first.offer.quote_id}/documents")
    return found


def replay(document: Json) -> None:
    """Replay a session from JSON."""
    verify_session(SessionDocument.model_validate(document, strict=False))


def shift(document: Json, seconds: int) -> None:
    """Claim that the second offer came so much later, or earlier."""
    made = document["offers"][1]
    made["made_at"] = str(int(made["made_at"]) + seconds)


def skip(document: Json) -> None:
    """Leave out the first offer."""
    del document["offers"][0]


def cheaper(document: Json) -> None:
    """Write a lower price into the last offer."""
    document["offers"][1]["signed"]["offer"]["deposit"] = "1"


def unsigned(document: Json) -> None:
    """Have the renter's signature be the owner's."""
    document["agreement"]["renter_signature"] = document["agreement"]["owner_signature"]


def other_request(document: Json) -> None:
    """Ask for longer than was asked."""
    document["request"]["seconds"] = "601"


def other_mandate(document: Json) -> None:
    """Show a mandate that forbids what was agreed."""
    document["mandate"] = a_mandate(per_rental=1).model_dump(mode="json")


def without_agreement(document: Json) -> None:
    """Hide the agreement."""
    document["agreement"] = document["agreed_at"] = None


class TestReplay:
    def test_holds_for_a_session_that_went_by_the_rules(self, front: Front) -> None:
        check = verify_session(SessionDocument.model_validate(documents(front), strict=False))
        assert check.outcomes == ((0, 0, 0, 0, 0), (10, 0, 0, 0, 0))
        assert "both sides signed the agreement that the last offer makes" in check.checks

    def test_holds_for_one_without_an_agreement(self, front: Front) -> None:
        check = verify_session(SessionDocument.model_validate(documents(front, agreed=False), strict=False))
        assert check.checks[-1] == "it ended without an agreement: open"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda document: shift(document, 300), "offer_expiry"),
            (lambda document: shift(document, 117), "answered_too_late"),
            (lambda document: shift(document, -60), "answered_too_late"),
            (skip, "wrong_round"),
            (cheaper, "wrong_signer"),
            (unsigned, "wrong_signer"),
            (other_request, "other_quote"),
            (other_mandate, "per_rental"),
            (without_agreement, "wrong_status"),
        ],
    )
    def test_notices(self, front: Front, change: Callable[[Json], None], code: str) -> None:
        document = documents(front)
        replay(document)
        change(document)
        with pytest.raises(RentalError) as refusal:
            replay(document)
        assert refusal.value.code == code

    def test_notices_a_request_in_somebody_elses_name(self, front: Front) -> None:
        document = documents(front)
        request = SessionDocument.model_validate(document, strict=False).request
        forged = sign(OWNER_AGENT_KEY, front.renter.terms.domain, quote_of(request))
        assert RENTER_AGENT_KEY.identity == request.renter_agent
        document["request_signature"] = f"0x{forged.hex()}"
        with pytest.raises(RentalError, match="signed by"):
            replay(document)

    def test_takes_nothing_that_is_no_session(self, front: Front) -> None:
        document = documents(front)
        del document["listing"]
        with pytest.raises(ValidationError):
            replay(document)

    def test_of_no_session_is_not_found(self, front: Front) -> None:
        with pytest.raises(NotFound):
            front.call("negotiation", "get_session_document", "ff" * 16)
