"""See take_ruling.tree."""

import pytest

CHOICES = 10_001**2


@pytest.fixture
def rental(wilful_desk, contested, by):
    """A rental whose dispute the arbitrator named 1."""
    rental = contested(arbiter=wilful_desk, dispute=True)
    wilful_desk.raiseDispute(rental.terms, by)
    return rental


class TestRule:
    @pytest.mark.parametrize("ruling", [0, 1, CHOICES])
    def test_keeps_what_the_arbitrator_ruled(self, world, wilful, wilful_desk, rental, by, ruling):
        before = world.slot(rental)

        told = wilful.arbitrator.decide(wilful_desk, 1, ruling, by).events["Ruling"]

        assert (told["arbitrator"], told["disputeId"], told["ruling"]) == (
            wilful.arbitrator.address,
            1,
            ruling,
        )
        _, is_raised, is_ruled, kept = wilful_desk.disputeOf(rental.id)
        assert (is_raised, is_ruled, int(kept)) == (True, True, ruling)
        assert world.slot(rental) == before

    def test_has_a_number_for_each_pair_of_shares(self, world, desk):
        shares = [(0, 0), (0, 1), (0, 10_000), (1, 0), (5_000, 2_500), (10_000, 10_000)]

        rulings = world.read(*((desk.rulingOf, *pair) for pair in shares))

        assert rulings == [1, 2, 10_001, 10_002, 1 + 5_000 * 10_001 + 2_500, CHOICES]


class TestRefuses:
    def test_anybody_but_the_arbitrator(self, world, wilful, wilful_desk, rental):
        refusal = world.refusal(wilful_desk.rule, 1, 5)

        assert refusal == (
            "ArbitrationDesk_NotArbitrator",
            world.relayer.address.lower(),
            wilful.arbitrator.address.lower(),
        )

    @pytest.mark.parametrize("dispute", [0, 2])
    def test_a_dispute_that_was_not_raised(self, world, wilful, wilful_desk, rental, dispute):
        refusal = world.refusal(wilful.arbitrator.decide, wilful_desk, dispute, 5)

        assert refusal == ("ArbitrationDesk_NoSuchDispute", dispute)

    @pytest.mark.parametrize("first", [0, 5], ids=["refused", "ruled"])
    def test_another_ruling(self, world, wilful, wilful_desk, rental, by, first):
        wilful.arbitrator.decide(wilful_desk, 1, first, by)

        refusal = world.refusal(wilful.arbitrator.decide, wilful_desk, 1, 6)

        assert refusal == ("ArbitrationDesk_AlreadyRuled", 1, first)

    def test_a_ruling_beyond_the_choices(self, world, wilful, wilful_desk, rental):
        refusal = world.refusal(wilful.arbitrator.decide, wilful_desk, 1, CHOICES + 1)

        assert refusal == ("ArbitrationDesk_RulingOutOfRange", CHOICES + 1, CHOICES)

    @pytest.mark.parametrize("shares", [(10_001, 0), (0, 10_001)])
    def test_a_share_of_more_than_the_whole(self, world, desk, shares):
        assert world.refusal(desk.rulingOf, *shares) == ("ArbitrationDesk_ShareOutOfRange", 10_001, 10_000)
