"""See carry_out.tree."""

import pytest
from rental import NOBODY, USD

PAYEES = (NOBODY, NOBODY)
# What the owner got before: 10 paid, less the fee of 2.5 %.
BEFORE = 9_750_000


def ruling_for(tail_share: int, deposit_share: int) -> int:
    return 1 + tail_share * 10_001 + deposit_share


@pytest.fixture
def ruled(world, wilful, wilful_desk, contested, by):
    """Return what contests a rental and has it ruled by these shares."""

    def _ruled(tail_share=0, deposit_share=0, *, refuse=False, **changes):
        rental = contested(arbiter=wilful_desk, **changes)
        wilful_desk.raiseDispute(rental.terms, by)
        ruling = 0 if refuse else ruling_for(tail_share, deposit_share)
        wilful.arbitrator.decide(wilful_desk, 1, ruling, by)
        world.mine_at(rental.rule_from + 1)
        return rental

    return _ruled


CASES = [
    # What is contested, the tail, both shares; then what the owner gets of tail and deposit, and each side's bond.
    pytest.param("dispute", 2 * USD, 10_000, 0, 2 * USD, 0, id="dispute lost"),
    pytest.param("dispute", 2 * USD, 2_500, 0, 500_000, 0, id="dispute lost in part"),
    pytest.param("dispute", 2 * USD, 0, 0, 0, 0, id="dispute won"),
    pytest.param("dispute", 2 * USD, 0, 10_000, 0, 0, id="a share of a deposit that nobody claims"),
    pytest.param("dispute", 3, 6_666, 0, 1, 0, id="rounded down from 1.9998"),
    pytest.param("dispute", 1, 9_999, 0, 0, 0, id="rounded down to nothing"),
    pytest.param("dispute", 1, 10_000, 0, 1, 0, id="nothing lost of the whole"),
    pytest.param("damage", 2 * USD, 0, 10_000, 2 * USD, 20 * USD, id="damage granted"),
    pytest.param("damage", 2 * USD, 10_000, 3_333, 2 * USD, 6_666_000, id="damage granted in part"),
    pytest.param("damage", 2 * USD, 5_000, 0, 2 * USD, 0, id="damage refused"),
    pytest.param("both", 2 * USD, 10_000, 10_000, 2 * USD, 18 * USD, id="both lost by the renter"),
    pytest.param("both", 2 * USD, 1, 1, 200, 1_800, id="a ten-thousandth of both"),
    pytest.param("both", 2 * USD, 0, 0, 0, 0, id="both won by the renter"),
    pytest.param("both", 2 * USD, 9_999, 0, 1_999_800, 0, id="damage refused, most of the tail granted"),
]


class TestCarriesOut:
    @pytest.mark.parametrize(("what", "tail", "tail_share", "deposit_share", "of_tail", "of_deposit"), CASES)
    def test_the_shares_of_what_is_contested(
        self, world, wilful_desk, ruled, by, what, tail, tail_share, deposit_share, of_tail, of_deposit
    ):
        dispute, damage = what in {"dispute", "both"}, what in {"damage", "both"}
        rental = ruled(tail_share, deposit_share, dispute=dispute, damage=damage, tail=tail)

        told = wilful_desk.carryOut(rental.terms, PAYEES, by).events["Ruled"]

        assert (told["tailToOwner"], told["depositToOwner"]) == (of_tail, of_deposit)
        bonds = rental.bond * ((dispute and of_tail == tail) + (damage and of_deposit > 0))
        whole_fee = (10 * USD + of_tail) * 250 // 10_000
        owner = 10 * USD + of_tail - whole_fee + of_deposit + bonds
        everything = rental.max_total + rental.deposit + rental.bond * damage
        assert world.credit(rental.owner) == owner
        assert world.credit(rental.fee_to) == whole_fee
        assert world.credit(rental.renter) == everything - owner - whole_fee
        assert world.held == everything

    def test_after_the_uncontested_part_went_back(self, world, wilful_desk, ruled, by):
        rental = ruled(5_000, 0, dispute=True)
        world.escrow.settle(rental.terms, PAYEES, by)

        wilful_desk.carryOut(rental.terms, PAYEES, by)

        assert world.credit(rental.owner) == BEFORE + 975_000
        assert world.credit(rental.renter) == 109 * USD

    def test_nothing_of_a_tail_that_was_voided_since(self, world, wilful_desk, ruled, by):
        rental = ruled(10_000, 5_000, dispute=True, damage=True)
        lies = (*rental.reading(5, seq=4), *rental.reading(6, seq=4))
        world.escrow.voidTail(rental.pay, rental.rules_hash, *lies, by)

        told = wilful_desk.carryOut(rental.terms, PAYEES, by).events["Ruled"]

        assert (told["tailToOwner"], told["depositToOwner"]) == (0, 10 * USD)

    def test_to_where_the_sender_says(self, world, wilful_desk, ruled, by):
        rental = ruled(5_000, 0, dispute=True)
        before = [world.purse(key) for key in (rental.owner, rental.renter)]

        wilful_desk.carryOut(rental.terms, (rental.owner.address, rental.renter.address), by)

        assert [world.purse(key) for key in (rental.owner, rental.renter)] == [
            before[0] + 975_000,
            before[1] + 109 * USD,
        ]


class TestRefuses:
    def test_terms_that_name_another_arbiter(self, world, desk, wilful_desk, ruled):
        rental = ruled(5_000, 0, dispute=True)

        refusal = world.refusal(desk.carryOut, rental.terms, PAYEES)

        assert refusal == ("ArbitrationDesk_OtherArbiter", wilful_desk.address.lower())

    def test_what_was_never_ruled(self, world, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        unraised = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)
        wilful_desk.raiseDispute(rental.terms, by)
        unruled = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)

        assert unraised == unruled == ("ArbitrationDesk_NoRuling", rental.id)

    def test_before_the_evidence_is_in(self, world, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True)
        wilful_desk.raiseDispute(rental.terms, by)
        wilful.arbitrator.decide(wilful_desk, 1, 1, by)
        world.mine_at(rental.rule_from)

        refusal = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)

        assert refusal == ("RentalEscrow_TooEarly", rental.rule_from, rental.rule_from)

    def test_a_second_time(self, world, wilful_desk, ruled, by):
        rental = ruled(5_000, 0, dispute=True)
        wilful_desk.carryOut(rental.terms, PAYEES, by)

        assert world.refusal(wilful_desk.carryOut, rental.terms, PAYEES) == (
            "RentalEscrow_NotOpen",
            rental.id,
            0,
        )

    def test_a_dispute_whose_tail_was_voided_since(self, world, wilful_desk, ruled, by):
        rental = ruled(10_000, 0, dispute=True)
        lies = (*rental.reading(5, seq=4), *rental.reading(6, seq=4))
        world.escrow.voidTail(rental.pay, rental.rules_hash, *lies, by)

        refusal = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)

        assert refusal == ("RentalEscrow_NothingContested", rental.id, 1 | 4 | 8)


class TestSilence:
    """Whatever the arbitrator does not rule in time ends as the escrow's default says."""

    def test_holds_after_a_refusal_to_rule(self, world, wilful_desk, ruled, by):
        rental = ruled(refuse=True, dispute=True, damage=True)
        assert world.refusal(wilful_desk.carryOut, rental.terms, PAYEES) == (
            "ArbitrationDesk_NoRuling",
            rental.id,
        )
        world.next_at(rental.rule_by + 1)

        world.escrow.settle(rental.terms, PAYEES, by)

        self.assert_default(world, rental)

    def test_holds_after_a_ruling_that_comes_late(self, world, wilful, wilful_desk, contested, by):
        rental = contested(arbiter=wilful_desk, dispute=True, damage=True)
        wilful_desk.raiseDispute(rental.terms, by)
        world.next_at(rental.rule_by + 1)
        wilful.arbitrator.decide(wilful_desk, 1, ruling_for(0, 0), by)
        late = world.refusal(wilful_desk.carryOut, rental.terms, PAYEES)

        world.escrow.settle(rental.terms, PAYEES, by)

        assert late == ("RentalEscrow_Expired", rental.rule_by + 1, rental.rule_by)
        self.assert_default(world, rental)

    @staticmethod
    def assert_default(world, rental):
        assert world.credit(rental.owner) == BEFORE + 1_950_000 + rental.bond
        assert world.credit(rental.renter) == 88 * USD + rental.deposit
