"""See raise_dispute.tree."""

import pytest
from eth_abi import encode
from eth_utils import keccak
from rental import NOBODY

PAYEES = (NOBODY, NOBODY)
CHOICES = 10_001**2


def selector(error: str) -> str:
    return "0x" + keccak(text=error)[:4].hex()


class TestRaise:
    @pytest.mark.parametrize("what", [{"damage": True}, {"dispute": True}, {"damage": True, "dispute": True}])
    def test_asks_the_arbitrator_about_the_rental(self, board, desk, contested, by, what):
        rental = contested(arbiter=desk, **what)

        told = desk.raiseDispute(rental.terms, by).events

        matter = encode(["address", "uint256", "bytes"], [desk.address, CHOICES, rental.id])
        dispute = int.from_bytes(keccak(matter), "big")
        assert (told["DisputeRaised"]["disputeId"], str(told["DisputeRaised"]["rentalId"])) == (
            dispute,
            "0x" + rental.id.hex(),
        )
        kept, is_raised, is_ruled, _ = desk.disputeOf(rental.id)
        assert (int(kept), is_raised, is_ruled) == (dispute, True, False)
        assert board.panel.disputes(dispute)[0] == desk.address

    def test_takes_a_damage_claim_whose_tail_was_voided(self, desk, contested, by):
        rental = contested(arbiter=desk, damage=True, dispute=True, void=True)

        desk.raiseDispute(rental.terms, by)

        assert desk.disputeOf(rental.id)[1]

    def test_hands_the_price_on(self, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful.arbitrator.charge(7, by)

        wilful_desk.raiseDispute(rental.terms, by | {"amount": 7})

        assert (wilful.arbitrator.balance(), wilful_desk.balance()) == (7, 0)


class TestRefuses:
    def test_terms_that_name_another_arbiter(self, world, desk, wilful_desk, contested):
        rental = contested(arbiter=wilful_desk, dispute=True)

        refusal = world.refusal(desk.raiseDispute, rental.terms)

        assert refusal == ("ArbitrationDesk_OtherArbiter", wilful_desk.address.lower())

    def test_a_rental_that_was_never_opened(self, world, desk):
        rental = world.rental(arbiter=desk.address)

        assert world.refusal(desk.raiseDispute, rental.terms) == (
            "ArbitrationDesk_NotContested",
            rental.id,
            0,
        )

    def test_what_nobody_contests(self, world, desk, contested):
        rental = contested(arbiter=desk)

        assert world.refusal(desk.raiseDispute, rental.terms) == (
            "ArbitrationDesk_NotContested",
            rental.id,
            1,
        )

    def test_a_dispute_whose_tail_was_voided(self, world, desk, contested):
        rental = contested(arbiter=desk, dispute=True, void=True)

        assert world.refusal(desk.raiseDispute, rental.terms)[2] == 1 | 4 | 8

    def test_what_was_closed(self, world, desk, contested, by):
        rental = contested(arbiter=desk, dispute=True)
        closing = (rental.max_total, 0, rental.rule_by)
        signed = [rental.close(*closing, key) for key in (rental.owner, rental.renter)]
        world.escrow.close(rental.terms, closing, *signed, PAYEES, by)

        assert world.refusal(desk.raiseDispute, rental.terms) == (
            "ArbitrationDesk_NotContested",
            rental.id,
            0,
        )

    def test_before_the_challenge_window_has_passed(self, world, desk, by):
        rental = world.opened(arbiter=desk.address)
        world.claimed(rental, 12_000_000, 15_000_000, 10_000_000)
        world.next_at(rental.claim_by + 1)
        world.escrow.dispute(rental.terms, rental.dispute(), by)
        world.mine_at(rental.dispute_by)

        refusal = world.refusal(desk.raiseDispute, rental.terms)

        assert refusal == ("ArbitrationDesk_TooEarly", rental.dispute_by, rental.dispute_by)

    @pytest.mark.parametrize("is_ruled", [False, True], ids=["open", "ruled"])
    def test_to_raise_it_again(self, world, wilful, wilful_desk, contested, by, is_ruled):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful_desk.raiseDispute(rental.terms, by)
        if is_ruled:
            wilful.arbitrator.decide(wilful_desk, 1, 5, by)

        refusal = world.refusal(wilful_desk.raiseDispute, rental.terms)

        assert refusal == ("ArbitrationDesk_AlreadyRaised", rental.id, 1)

    @pytest.mark.parametrize("wei", [0, 6, 8])
    def test_another_price_than_the_arbitrators(self, world, wilful, wilful_desk, contested, by, wei):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful.arbitrator.charge(7, by)

        refusal = world.refusal(wilful_desk.raiseDispute, rental.terms, wei=wei)

        assert refusal == ("ArbitrationDesk_WrongFee", wei, 7)

    def test_a_name_that_the_arbitrator_gave_another_dispute(self, world, wilful_desk, contested, by):
        first = contested(arbiter=wilful_desk, dispute=True)
        wilful_desk.raiseDispute(first.terms, by)
        second = contested(arbiter=wilful_desk, dispute=True, salt=b"\x02" * 32)

        refusal = world.refusal(wilful_desk.raiseDispute, second.terms)

        assert refusal == ("ArbitrationDesk_DisputeIdTaken", 1, first.id)


class TestArbitratorOfIllWill:
    def test_that_refuses_may_be_asked_again(self, world, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful.arbitrator.refuse(by)

        with pytest.raises(AssertionError, match="not a known error"):
            world.refusal(wilful_desk.raiseDispute, rental.terms)

        assert not wilful_desk.disputeOf(rental.id)[1]

    def test_raises_nothing_by_calling_back(self, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful.arbitrator.callBack(wilful_desk, wilful_desk.raiseDispute.encode_input(rental.terms), by)

        wilful_desk.raiseDispute(rental.terms, by)

        assert str(wilful.arbitrator.answer()) == selector("ArbitrationDesk_AlreadyRaised(bytes32,uint256)")

    def test_rules_on_nothing_by_calling_back(self, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful.arbitrator.callBack(wilful_desk, wilful_desk.rule.encode_input(1, 5), by)

        wilful_desk.raiseDispute(rental.terms, by)

        assert str(wilful.arbitrator.answer()) == selector("ArbitrationDesk_NoSuchDispute(uint256)")
        assert wilful_desk.disputeOf(rental.id)[1:3] == (True, False)
