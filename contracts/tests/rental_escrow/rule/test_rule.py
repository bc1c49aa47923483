"""See rule.tree."""

import pytest
from rental import NOBODY, USD
from signing import Secp256k1Key, account_of

EVIDENCE = b"\x07" * 32
PAYEES = (NOBODY, NOBODY)


@pytest.fixture
def arbiter(sender):
    return sender(Secp256k1Key("arbiter"))


@pytest.fixture
def contested(world, sender):
    """Open a rental with 10 paid and a tail of 2, and contest it; return it at a time when the arbiter may rule."""

    def _contested(*, damage, dispute, split=False):
        rental = world.opened()
        if damage:
            owner = sender(rental.owner)
            world.token.mint(owner, rental.bond, {"from": world.relayer})
            world.token.approve(world.escrow, rental.bond, {"from": owner})
            world.escrow.deposit(world.token, account_of(rental.owner), rental.bond, {"from": owner})
            world.escrow.damage(rental.terms, 9 * USD, EVIDENCE, b"", {"from": owner})
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        if dispute:
            world.escrow.dispute(rental.terms, rental.dispute(), {"from": world.relayer})
        if split:
            world.escrow.settle(rental.terms, PAYEES, {"from": world.relayer})
        world.mine_at(rental.rule_from + 1)
        return rental

    return _contested


CASES = [
    # damage, dispute, tail and deposit to the owner; then what each side holds in the end, the owner's 9.75 of before included.
    pytest.param(False, True, 2, 0, 9_750_000 + 1_950_000 + 2 * USD, 106, id="dispute lost"),
    pytest.param(False, True, 1, 0, 9_750_000 + 975_000, 109, id="dispute half won"),
    pytest.param(False, True, 0, 0, 9_750_000, 110, id="dispute won"),
    pytest.param(True, False, 2, 5, 9_750_000 + 1_950_000 + 7 * USD, 103, id="damage granted in part"),
    pytest.param(True, False, 2, 0, 9_750_000 + 1_950_000, 110, id="damage refused"),
    pytest.param(True, True, 2, 18, 9_750_000 + 1_950_000 + 22 * USD, 88, id="both lost by the renter"),
    pytest.param(True, True, 0, 0, 9_750_000, 112, id="both won by the renter"),
]


class TestRule:
    @pytest.mark.parametrize("split", [False, True], ids=["whole", "split"])
    @pytest.mark.parametrize(("damage", "dispute", "tail", "deposit", "owner", "renter"), CASES)
    def test_divides_what_is_contested(
        self, world, arbiter, contested, damage, dispute, tail, deposit, owner, renter, split
    ):
        rental = contested(damage=damage, dispute=dispute, split=split)

        world.escrow.rule(rental.terms, tail * USD, deposit * USD, PAYEES, {"from": arbiter})

        assert world.credit(rental.owner) == owner
        assert world.credit(rental.renter) == renter * USD
        assert world.held == world.credit(rental.owner) + world.credit(rental.renter) + world.credit(
            rental.fee_to
        )
        assert world.slot(rental) == (0, 0, 0, 0, 0)

    def test_tells_what_was_ruled_and_what_each_side_gets_by_it(self, world, arbiter, contested):
        rental = contested(damage=True, dispute=True)

        transaction = world.escrow.rule(rental.terms, USD, 5 * USD, PAYEES, {"from": arbiter})

        assert transaction.events["Ruled"] == {
            "rentalId": "0x" + rental.id.hex(),
            "tailToOwner": USD,
            "depositToOwner": 5 * USD,
            "toOwner": 975_000 + 5 * USD + rental.bond,
            "fee": 275_000,
            "toRenter": 104 * USD,
        }

    def test_happens_once(self, world, arbiter, contested):
        rental = contested(damage=False, dispute=True)
        world.escrow.rule(rental.terms, 0, 0, PAYEES, {"from": arbiter})

        refusal = world.refusal(world.escrow.rule, rental.terms, 0, 0, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)


class TestRefuses:
    def test_anyone_but_the_arbiter(self, world, contested):
        rental = contested(damage=False, dispute=True)

        refusal = world.refusal(world.escrow.rule, rental.terms, 0, 0, PAYEES)

        assert refusal == ("RentalEscrow_NotArbiter", world.relayer.address.lower(), rental.arbiter.lower())

    def test_what_nobody_contests(self, world, arbiter, contested):
        rental = contested(damage=False, dispute=False)

        refusal = world.refusal(world.escrow.rule, rental.terms, 2 * USD, 0, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_NothingContested", rental.id, 1)

    def test_a_dispute_whose_tail_was_voided(self, world, arbiter, contested):
        rental = contested(damage=False, dispute=True)
        lies = (*rental.reading(5, seq=4), *rental.reading(6, seq=4))
        world.escrow.voidTail(rental.pay, rental.rules_hash, *lies, {"from": world.relayer})

        refusal = world.refusal(world.escrow.rule, rental.terms, 0, 0, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_NothingContested", rental.id, 1 | 4 | 8)

    @pytest.mark.parametrize(
        ("damage", "dispute", "tail", "deposit", "error"),
        [
            (False, True, 2 * USD + 1, 0, (2 * USD + 1, 0, 2 * USD)),
            (True, False, 2 * USD - 1, 0, (2 * USD - 1, 2 * USD, 2 * USD)),
            (False, True, 0, 1, (1, 0, 0)),
            (True, False, 2 * USD, 20 * USD + 1, (20 * USD + 1, 0, 20 * USD)),
            (True, True, 0, 18 * USD + 1, (18 * USD + 1, 0, 18 * USD)),
        ],
    )
    def test_more_than_is_contested(self, world, arbiter, contested, damage, dispute, tail, deposit, error):
        rental = contested(damage=damage, dispute=dispute)

        refusal = world.refusal(world.escrow.rule, rental.terms, tail, deposit, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_AmountOutOfRange", *error)

    def test_a_ruling_after_its_time(self, world, arbiter, contested):
        rental = contested(damage=False, dispute=True)
        world.mine_at(rental.rule_by + 1)

        refusal = world.refusal(world.escrow.rule, rental.terms, 0, 0, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_Expired", rental.rule_by + 1, rental.rule_by)

    @pytest.mark.parametrize("early", [0, 7])
    def test_a_ruling_before_the_evidence_is_in(self, world, arbiter, early):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.dispute(rental.terms, rental.dispute(), {"from": world.relayer})
        world.mine_at(rental.rule_from - early)

        refusal = world.refusal(world.escrow.rule, rental.terms, 0, 0, PAYEES, sender=arbiter)

        assert refusal == ("RentalEscrow_TooEarly", rental.rule_from - early, rental.rule_from)
