"""See settle.tree. Every one of these calls is made by a stranger: whoever vanishes, money leaves by its deadline."""

import pytest
from rental import USD
from signing import account_of


@pytest.fixture
def settle(world):
    def _settle(rental, at):
        world.next_at(at)
        payees = (rental.owner.address, rental.renter.address)
        return world.escrow.settle(rental.terms, payees, {"from": world.relayer})

    return _settle


@pytest.fixture
def with_damage(world, sender):
    """Let the owner claim damage, its bond put down before."""

    def _with_damage(rental):
        owner = sender(rental.owner)
        world.token.mint(owner, rental.bond, {"from": world.relayer})
        world.token.approve(world.escrow, rental.bond, {"from": owner})
        world.escrow.deposit(world.token, account_of(rental.owner), rental.bond, {"from": owner})
        world.escrow.damage(rental.terms, USD, b"\x07" * 32, b"", {"from": owner})

    return _with_damage


class TestUncontested:
    def test_when_the_device_vanished_the_renter_gets_everything_back(self, world, settle):
        rental = world.opened()
        before = world.purse(rental.renter)

        transaction = settle(rental, rental.claim_by + 1)

        assert world.purse(rental.renter) - before == 120 * USD
        assert world.held == 0
        assert transaction.events["Settled"]["toRenter"] == 120 * USD

    def test_when_the_renter_vanished_the_owner_keeps_what_was_acknowledged(self, world, settle):
        rental = world.opened()
        world.claimed(rental, 10 * USD, 10 * USD, 10 * USD)
        before = world.purse(rental.renter)

        transaction = settle(rental, rental.claim_by + 1)

        assert world.purse(rental.renter) - before == 110 * USD
        assert world.credit(rental.owner) == 9_750_000
        assert world.held == 10 * USD
        assert transaction.events["Settled"] == {
            "rentalId": "0x" + rental.id.hex(),
            "paid": 10 * USD,
            "toOwner": 0,
            "fee": 250_000,
            "toRenter": 110 * USD,
        }

    @pytest.mark.parametrize("early", [0, 7])
    def test_the_unclaimed_part_waits_for_the_claims_to_end(self, world, nobody, early):
        rental = world.opened()
        world.mine_at(rental.claim_by - early)

        refusal = world.refusal(world.escrow.settle, rental.terms, nobody)

        assert refusal == ("RentalEscrow_TooEarly", rental.claim_by - early, rental.claim_by)

    def test_after_an_exit_the_money_comes_back_sooner(self, world, settle):
        rental = world.opened()
        world.escrow.exit(rental.terms, rental.exit(rental.renter), {"from": world.relayer})
        claim_by = world.slot(rental)[2]
        before = world.purse(rental.renter)

        settle(rental, claim_by + 1)

        assert claim_by < rental.claim_by
        assert world.purse(rental.renter) - before == 120 * USD

    def test_a_settled_rental_settles_no_more(self, world, settle, nobody):
        rental = world.opened()
        settle(rental, rental.claim_by + 1)

        refusal = world.refusal(world.escrow.settle, rental.terms, nobody)

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)


class TestTail:
    def test_within_the_challenge_window_only_the_tail_and_the_bond_stay(self, world, settle):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        before = world.purse(rental.renter)

        transaction = settle(rental, rental.claim_by + 1)

        assert world.purse(rental.renter) - before == 120 * USD - 10 * USD - 2 * USD - rental.bond
        assert transaction.events["Split"]["refund"] == 106 * USD
        assert world.slot(rental)[4] == 1 | 16

    @pytest.mark.parametrize("early", [0, 7])
    def test_the_uncontested_part_is_returned_once(self, world, settle, nobody, early):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        settle(rental, rental.claim_by + 1)
        world.mine_at(rental.dispute_by - early)

        refusal = world.refusal(world.escrow.settle, rental.terms, nobody)

        assert refusal == ("RentalEscrow_TooEarly", rental.dispute_by - early, rental.dispute_by)

    @pytest.mark.parametrize("split_first", [False, True])
    def test_after_the_challenge_window_the_owner_gets_it(self, world, settle, split_first):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        before = world.purse(rental.renter)
        if split_first:
            settle(rental, rental.claim_by + 1)

        settle(rental, rental.dispute_by + 1)

        assert world.purse(rental.owner) == 2 * USD - 50_000
        assert world.purse(rental.renter) - before == 108 * USD
        assert world.credit(rental.fee_to) == 300_000

    @pytest.mark.parametrize("split_first", [False, True])
    def test_a_voided_tail_goes_to_the_renter_at_once(self, world, settle, split_first):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        before = world.purse(rental.renter)
        if split_first:
            settle(rental, rental.claim_by + 1)
        lies = (*rental.reading(12 * USD), *rental.reading(13 * USD))
        world.escrow.voidTail(rental.pay, rental.rules_hash, *lies, {"from": world.relayer})

        settle(rental, rental.claim_by + 10)

        assert world.purse(rental.renter) - before == 110 * USD
        assert world.purse(rental.owner) == 0


class TestSilentArbiter:
    @pytest.mark.parametrize("split_first", [False, True])
    def test_of_a_dispute_gives_the_tail_to_the_owner_and_the_bond_back(self, world, settle, split_first):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        before = world.purse(rental.renter)
        if split_first:
            settle(rental, rental.claim_by + 1)
        world.next_at(rental.dispute_by)
        world.escrow.dispute(rental.terms, rental.dispute(), {"from": world.relayer})

        settle(rental, rental.rule_by + 1)

        assert world.purse(rental.owner) == 2 * USD - 50_000
        assert world.purse(rental.renter) - before == 108 * USD

    @pytest.mark.parametrize("split_first", [False, True])
    def test_of_damage_gives_the_deposit_to_the_renter_and_the_bond_back(
        self, world, settle, with_damage, split_first
    ):
        rental = world.opened()
        with_damage(rental)
        before = world.purse(rental.renter)
        if split_first:
            transaction = settle(rental, rental.claim_by + 1)
            assert transaction.events["Split"]["refund"] == 100 * USD

        settle(rental, rental.rule_by + 1)

        assert world.purse(rental.renter) - before == 120 * USD
        assert world.purse(rental.owner) == rental.bond
        assert world.held == 0

    def test_is_waited_for(self, world, settle, with_damage, nobody):
        rental = world.opened()
        with_damage(rental)
        settle(rental, rental.claim_by + 1)
        world.mine_at(rental.rule_by)

        refusal = world.refusal(world.escrow.settle, rental.terms, nobody)

        assert refusal == ("RentalEscrow_TooEarly", rental.rule_by, rental.rule_by)
