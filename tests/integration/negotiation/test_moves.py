"""Many moves in one call: each is answered on its own, and none stands in another's way."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from hireling.rental.agreement import SignedAgreement
from hireling.rental.listing import SignedListing
from hireling.rental.offer import SignedOffer
from services.messages.errors import Invalid
from services.messages.negotiation import MOST_MOVES, MoveAnswer
from tests.builders import NOW, a_mandate, an_offer
from tests.fakes.actors import PROOF_SECONDS, RenterActor
from tests.fakes.front import Front

ALL_IN = an_offer().all_in


def a_move(kind: str, document: BaseModel) -> dict[str, Any]:
    """Return a move as it travels."""
    return {"kind": kind, "document": document.model_dump(mode="json")}


def an_offer_move(offer: SignedOffer) -> dict[str, Any]:
    return a_move("offer", offer)


def make(front: Front, moves: Iterable[dict[str, Any]]) -> list[MoveAnswer]:
    """Make moves in one call."""
    answers = front.call("negotiation", "make_moves", list(moves))
    return [MoveAnswer.model_validate(answer, strict=False) for answer in answers]


def outcomes(answers: Sequence[MoveAnswer]) -> list[str]:
    """Return of each answer its problem's code, or what came of the move."""
    return [answer.problem.code if answer.problem else answer.outcome for answer in answers]


def renters(front: Front, number: int) -> list[RenterActor]:
    return [RenterActor(clock=front.clock, name=f"renter {each}") for each in range(number)]


def asked_by(front: Front, listing: SignedListing, renter: RenterActor) -> tuple[dict[str, Any], SignedOffer]:
    """Return a renter's question as a move, and the owner's first offer, neither of them made yet."""
    question = renter.question(listing.document)
    quote_id = make(front, [a_move("question", question)])[0].quote_id
    assert quote_id is not None
    offer = front.device.first_offer(question.request, listing.document, quote_id)
    return a_move("question", question), offer


def quiet(front: Front) -> None:
    """Wait until everybody has heard everything."""
    front.platform.wait_until(lambda: front.call("negotiation", "health")["unsent_events"] == 0, timeout=20.0)


class TestMoves:
    def test_carry_many_sessions_from_question_to_signature(self, front: Front) -> None:
        listing = front.offer_for_hire()
        asked = [asked_by(front, listing, renter) for renter in renters(front, 5)]
        made = make(front, [an_offer_move(offer) for _, offer in asked])
        assert [(answer.outcome, answer.state.turn) for answer in made if answer.state] == [
            ("done", "renter")
        ] * 5
        counters = [
            renter.counter_offer(offer.offer)
            for renter, (_, offer) in zip(renters(front, 5), asked, strict=True)
        ]
        assert outcomes(make(front, map(an_offer_move, counters))) == ["done"] * 5
        signed = make(front, [a_move("signature", front.device.signature(each.offer)) for each in counters])
        assert [answer.state.signed_by for answer in signed if answer.state] == [("owner",)] * 5
        quiet(front)

    def test_of_one_session_follow_each_other_in_one_call(self, front: Front) -> None:
        listing = front.offer_for_hire()
        question, offer = asked_by(front, listing, front.renter)
        counter = front.renter.counter_offer(offer.offer)
        answers = make(
            front,
            [
                question,
                an_offer_move(offer),
                an_offer_move(counter),
                a_move("signature", front.renter.signature(counter.offer)),
                a_move("signature", front.device.signature(counter.offer)),
            ],
        )
        assert outcomes(answers) == ["done"] * 5
        last = answers[-1].state
        assert last is not None
        assert (last.status, last.offers, last.signed_by) == ("agreed", 2, ("owner", "renter"))
        assert last.rental_id is not None
        rental_id = f"0x{last.rental_id.hex()}"
        agreed = front.call("negotiation", "get_agreement", rental_id)
        SignedAgreement.model_validate(agreed, strict=False).check(NOW)
        front.wait_for_rental(rental_id)

    def test_out_of_order_are_refused_until_their_turn(self, front: Front) -> None:
        listing = front.offer_for_hire()
        _, offer = asked_by(front, listing, front.renter)
        counter = front.renter.counter_offer(offer.offer)
        moves = [an_offer_move(counter), an_offer_move(offer)]
        assert outcomes(make(front, moves)) == ["not_your_turn", "done"]
        assert outcomes(make(front, moves)) == ["done", "done"]

    def test_repeated_change_nothing_and_are_done(self, front: Front) -> None:
        listing = front.offer_for_hire()
        question, offer = asked_by(front, listing, front.renter)
        moves = [question, an_offer_move(offer), a_move("signature", front.device.signature(offer.offer))]
        once, twice = make(front, moves * 2), make(front, moves)
        assert outcomes(once) + outcomes(twice) == ["done"] * 9
        assert twice[-1] == once[-1]

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_bad_one_hinders_no_other(self, front: Front, place: int) -> None:
        listing = front.offer_for_hire()
        asked = [asked_by(front, listing, renter)[1] for renter in renters(front, 2)]
        forged = asked[0].model_copy(update={"signature": asked[1].signature})
        strange = front.renter.question(front.device.listing(title="Never listed").document)
        bad = [
            an_offer_move(forged),
            {"kind": "offer", "document": {"offer": 1}},
            a_move("question", strange),
            {"kind": "tip"},
        ]
        moves = [an_offer_move(offer) for offer in asked]
        moves[place:place] = bad
        expected = ["done", "done"]
        expected[place:place] = ["wrong_signer", "invalid", "listing_not_found", "invalid"]
        if place:
            # The session has that very offer, so its copy with another signature changes nothing.
            expected[place] = "done"
        answers = make(front, moves)
        assert outcomes(answers) == expected
        for offer in asked:
            assert len(front.call("negotiation", "get_quote", offer.offer.quote_id)["offers"]) == 1

    def test_reserve_at_the_ledger_one_by_one(self, front: Front) -> None:
        listing = front.offer_for_hire()
        mandate = a_mandate(total=3 * ALL_IN)
        later = front.device.now(PROOF_SECONDS + 1)
        front.call(
            "listing", "register_device", front.device.registration(mandate=mandate, valid_until=later)
        )
        offers = [asked_by(front, listing, renter)[1] for renter in renters(front, 5)]
        make(front, map(an_offer_move, offers))
        signatures = [a_move("signature", front.device.signature(offer.offer)) for offer in offers]
        expected = ["done"] * 3 + ["mandate_exceeded"] * 2
        assert outcomes(make(front, signatures)) == expected
        assert outcomes(make(front, signatures)) == expected

    def test_give_the_device_to_one_renter_only(self, front: Front) -> None:
        listing = front.offer_for_hire()
        both = renters(front, 2)
        offers = [asked_by(front, listing, renter)[1] for renter in both]
        moves = [an_offer_move(offer) for offer in offers]
        for renter, offer in zip(both, offers, strict=True):
            moves.append(a_move("signature", front.device.signature(offer.offer)))
            moves.append(a_move("signature", renter.signature(offer.offer)))
        moves.append(a_move("question", RenterActor(clock=front.clock).question(listing.document)))
        expected = ["done"] * 5 + ["device_taken"] * 2
        assert outcomes(make(front, moves)) == expected

    def test_one_open_session_per_renter_within_a_call_too(self, front: Front) -> None:
        listing = front.offer_for_hire()
        questions = [front.renter.question(listing.document, seconds=seconds) for seconds in (300, 400)]
        moves = [a_move("question", question) for question in questions]
        assert outcomes(make(front, moves)) == ["done", "quote_already_open"]

    @pytest.mark.parametrize("forged_first", [False, True])
    def test_a_question_is_answered_by_its_own_signature(self, front: Front, forged_first: bool) -> None:
        listing = front.offer_for_hire()
        question = front.renter.question(listing.document)
        other = RenterActor(clock=front.clock, name="another renter").question(listing.document)
        forged = question.model_copy(update={"signature": other.signature})
        moves = [a_move("question", question), a_move("question", forged)]
        expected = ["done", "signature_mismatch"]
        step = -1 if forged_first else 1
        assert outcomes(make(front, moves[::step])) == expected[::step]

    def test_too_many_are_refused_as_a_whole(self, front: Front) -> None:
        for number in (0, MOST_MOVES + 1):
            with pytest.raises(Invalid, match="too_many_moves"):
                make(front, [{}] * number)

    def test_the_owner_signs_again_after_a_counter_offer(self, front: Front) -> None:
        listing = front.offer_for_hire()
        _, first = asked_by(front, listing, front.renter)
        counter = front.renter.counter_offer(first.offer)
        moves = [
            an_offer_move(first),
            a_move("signature", front.device.signature(first.offer)),
            an_offer_move(counter),
            a_move("signature", front.device.signature(counter.offer)),
        ]
        assert [outcome for move in moves for outcome in outcomes(make(front, [move]))] == ["done"] * 4
        quiet(front)
