"""See close.tree."""

import pytest
from rental import HOUR, NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of


def arguments(
    world, rental, use, damage, *, owner=None, renter=None, payees=(NOBODY, NOBODY), valid_for=HOUR
):
    until = world.now + valid_for
    owner_signature = rental.close(use, damage, until, owner or rental.owner)
    renter_signature = rental.close(use, damage, until, renter or rental.renter)
    return (rental.terms, (use, damage, until), owner_signature, renter_signature, payees)


class TestPays:
    def test_use_and_damage_to_the_owner_and_the_rest_to_the_renter(self, world):
        rental = world.opened()
        payees = (rental.owner.address, rental.renter.address)
        before = world.purse(rental.renter)

        transaction = world.escrow.close(
            *arguments(world, rental, 30 * USD, 3 * USD, payees=payees), {"from": world.relayer}
        )

        assert world.purse(rental.owner) == 29_250_000 + 3 * USD
        assert world.purse(rental.renter) - before == 87 * USD
        assert world.credit(rental.fee_to) == 750_000
        assert world.held == 750_000
        assert transaction.events["Closed"] == {
            "rentalId": "0x" + rental.id.hex(),
            "use": 30 * USD,
            "damage": 3 * USD,
            "toOwner": 32_250_000,
            "fee": 750_000,
            "toRenter": 87 * USD,
        }

    def test_only_what_was_not_claimed_before(self, world):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)

        world.escrow.close(*arguments(world, rental, 11 * USD, 0), {"from": world.relayer})

        assert world.credit(rental.owner) == 11 * USD - 275_000
        assert world.credit(rental.fee_to) == 275_000
        assert world.credit(rental.renter) == 109 * USD

    def test_a_zero_close_gives_everything_back(self, world):
        rental = world.opened()

        world.escrow.close(*arguments(world, rental, 0, 0), {"from": world.relayer})

        assert world.credit(rental.renter) == 120 * USD
        assert world.credit(rental.owner) == 0

    def test_the_owners_bond_back(self, world, sender):
        rental = world.opened()
        owner = sender(rental.owner)
        world.token.mint(owner, 2 * USD, {"from": world.relayer})
        world.token.approve(world.escrow, 2 * USD, {"from": owner})
        world.escrow.deposit(world.token, account_of(rental.owner), 2 * USD, {"from": owner})
        world.escrow.damage(rental.terms, USD, b"\x07" * 32, b"", {"from": owner})
        assert world.credit(rental.owner) == 0

        world.escrow.close(*arguments(world, rental, 0, USD), {"from": world.relayer})

        assert world.credit(rental.owner) == 3 * USD


class TestRemembers:
    def test_a_tombstone_while_the_id_could_still_open(self, world):
        rental = world.opened()
        world.next_at(rental.fund_by)

        world.escrow.close(*arguments(world, rental, 4 * USD, 0), {"from": world.relayer})

        assert world.slot(rental) == (4 * USD, 0, 0, 0, 128)

    def test_nothing_once_the_id_cannot_open(self, world):
        rental = world.opened()
        evidence = arguments(world, rental, 4 * USD, 0, valid_for=2 * HOUR)
        world.next_at(rental.fund_by + 1)

        world.escrow.close(*evidence, {"from": world.relayer})

        assert world.slot(rental) == (0, 0, 0, 0, 0)


class TestWhoMayClose:
    @pytest.mark.parametrize("owner", ["owner", "owner_agent"])
    @pytest.mark.parametrize("renter", ["renter", "renter_agent"])
    def test_either_key_of_each_side(self, world, owner, renter):
        rental = world.opened()
        keys = {"owner": getattr(rental, owner), "renter": getattr(rental, renter)}

        world.escrow.close(*arguments(world, rental, 4 * USD, 0, **keys), {"from": world.relayer})

        assert world.slot(rental)[4] == 128

    def test_the_sender_needs_no_signature_of_its_own(self, world, sender):
        rental = world.opened()
        terms, closing, owner_signature, _, payees = arguments(world, rental, 4 * USD, 0)

        world.escrow.close(terms, closing, owner_signature, b"", payees, {"from": sender(rental.renter)})

        assert world.slot(rental)[4] == 128

    def test_a_p256_session_key_closes(self, world):
        rental = world.opened(renter_agent=P256Key("browser"))

        evidence = arguments(world, rental, 4 * USD, 0, renter=rental.renter_agent)
        world.escrow.close(*evidence, {"from": world.relayer})

        assert world.slot(rental)[4] == 128

    @pytest.mark.parametrize("side", ["owner", "renter"])
    def test_not_without_either_side(self, world, side):
        rental = world.opened()
        stranger = Secp256k1Key("stranger")

        refusal = world.refusal(world.escrow.close, *arguments(world, rental, USD, 0, **{side: stranger}))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(stranger))

    def test_not_the_session_key_with_damage(self, world):
        rental = world.opened()
        evidence = arguments(world, rental, USD, 1, renter=rental.renter_agent)

        refusal = world.refusal(world.escrow.close, *evidence)

        assert refusal == ("RentalEscrow_AmountOutOfRange", 1, 0, 0)

    def test_not_the_session_key_beyond_the_rate_cap(self, world):
        rental = world.opened()
        world.mine_at(rental.starts + 60)
        evidence = arguments(world, rental, 6 * USD + 1, 0, renter=rental.renter_agent)

        refusal = world.refusal(world.escrow.close, *evidence)

        assert refusal == ("RentalEscrow_AmountOutOfRange", 6 * USD + 1, 0, 6 * USD)


class TestRefuses:
    def test_an_expired_agreement(self, world):
        rental = world.opened()
        evidence = arguments(world, rental, USD, 0, valid_for=10)
        until = world.now + 10
        world.mine_at(until + 1)

        refusal = world.refusal(world.escrow.close, *evidence)

        assert refusal == ("RentalEscrow_Expired", until + 1, until)

    @pytest.mark.parametrize(
        ("use", "damage", "error"),
        [
            (10 * USD - 1, 0, (10 * USD - 1, 10 * USD, 100 * USD)),
            (100 * USD + 1, 0, (100 * USD + 1, 10 * USD, 100 * USD)),
            (10 * USD, 20 * USD + 1, (20 * USD + 1, 0, 20 * USD)),
        ],
    )
    def test_amounts_out_of_range(self, world, use, damage, error):
        rental = world.opened()
        world.claimed(rental, 10 * USD, 10 * USD, 10 * USD)

        refusal = world.refusal(world.escrow.close, *arguments(world, rental, use, damage))

        assert refusal == ("RentalEscrow_AmountOutOfRange", *error)

    def test_more_than_the_split_left_in_the_pot(self, world, nobody):
        rental = world.opened()
        world.claimed(rental, 12 * USD, 15 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, nobody, {"from": world.relayer})

        refusal = world.refusal(world.escrow.close, *arguments(world, rental, 14 * USD + 1, 0))

        assert refusal == ("RentalEscrow_AmountOutOfRange", 4 * USD + 1, 0, 4 * USD)

    def test_a_second_close(self, world):
        rental = world.opened()
        evidence = arguments(world, rental, 0, 0)
        world.escrow.close(*evidence, {"from": world.relayer})

        refusal = world.refusal(world.escrow.close, *evidence)

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 128)

    def test_a_payee_who_is_not_the_party(self, world):
        rental = world.opened()
        evidence = arguments(world, rental, 0, 0, payees=(NOBODY, world.relayer.address))

        refusal = world.refusal(world.escrow.close, *evidence)

        assert refusal == ("RentalEscrow_WrongPayee", world.relayer.address.lower())
