"""See dispute.tree."""

import pytest
from rental import USD
from signing import account_of


@pytest.fixture
def with_tail(world):
    rental = world.opened()
    world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
    return rental


class TestDispute:
    def test_signed_in_advance_is_sent_by_a_watchtower(self, world, with_tail):
        signature = with_tail.dispute()
        world.next_at(with_tail.dispute_by)

        transaction = world.escrow.dispute(with_tail.terms, signature, {"from": world.relayer})

        assert world.slot(with_tail)[4] == 1 | 4
        assert transaction.events["Disputed"]["tail"] == 2 * USD

    def test_is_possible_after_the_split(self, world, with_tail, nobody):
        world.next_at(with_tail.claim_by + 1)
        world.escrow.settle(with_tail.terms, nobody, {"from": world.relayer})

        world.escrow.dispute(with_tail.terms, with_tail.dispute(), {"from": world.relayer})

        assert world.slot(with_tail)[4] == 1 | 4 | 16


class TestRefuses:
    @pytest.mark.parametrize(
        ("limit", "after", "error"),
        [("claim_by", 0, "TooEarly"), ("claim_by", -7, "TooEarly"), ("dispute_by", 1, "Expired")],
    )
    def test_outside_the_challenge_window(self, world, with_tail, limit, after, error):
        at = getattr(with_tail, limit)
        world.mine_at(at + after)

        refusal = world.refusal(world.escrow.dispute, with_tail.terms, with_tail.dispute())

        assert refusal == (f"RentalEscrow_{error}", at + after, at)

    def test_without_a_tail(self, world):
        rental = world.opened()
        world.mine_at(rental.claim_by + 1)

        refusal = world.refusal(world.escrow.dispute, rental.terms, rental.dispute())

        assert refusal == ("RentalEscrow_NothingToDispute", rental.id, 1)

    def test_a_second_time(self, world, with_tail):
        world.next_at(with_tail.claim_by + 1)
        world.escrow.dispute(with_tail.terms, with_tail.dispute(), {"from": world.relayer})

        refusal = world.refusal(world.escrow.dispute, with_tail.terms, with_tail.dispute())

        assert refusal == ("RentalEscrow_NothingToDispute", with_tail.id, 1 | 4)

    @pytest.mark.parametrize("key", ["renter_agent", "owner"])
    def test_by_anyone_but_the_renter(self, world, with_tail, key):
        world.mine_at(with_tail.claim_by + 1)
        signer = getattr(with_tail, key)

        refusal = world.refusal(world.escrow.dispute, with_tail.terms, with_tail.dispute(signer))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(signer))
