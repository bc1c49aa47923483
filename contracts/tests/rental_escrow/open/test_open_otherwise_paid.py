"""See open.tree: permit, ERC-3009 authorisation, internal balance."""

import pytest
from rental import USD
from signing import P256Key, Secp256k1Key, account_of


@pytest.fixture
def gasless(world):
    """A renter with tokens who has approved nobody and never sends a transaction."""
    key = Secp256k1Key("gasless renter")
    world.token.mint(key.address, 200 * USD, {"from": world.relayer})
    return key


class TestOpenWithPermit:
    def test_needs_no_allowance_before(self, world, gasless):
        rental = world.rental(renter=gasless)
        permit = world.permit(gasless, 120 * USD, world.now + 600)

        transaction = world.escrow.openWithPermit(
            rental.terms, 10_000, rental.agreement_signature, permit, {"from": world.relayer}
        )

        assert world.purse(gasless) == 80 * USD
        assert world.slot(rental)[4] == 1
        assert transaction.return_value == "0x" + rental.id.hex()

    def test_opens_although_someone_else_used_the_permit_first(self, world, gasless):
        rental = world.rental(renter=gasless)
        permit = world.permit(gasless, 120 * USD, world.now + 600)
        world.token.permit(gasless.address, world.escrow.address, *permit, {"from": world.relayer})

        world.escrow.openWithPermit(
            rental.terms, 10_000, rental.agreement_signature, permit, {"from": world.relayer}
        )

        assert world.purse(gasless) == 80 * USD

    def test_a_permit_for_too_little_opens_nothing(self, world, gasless):
        rental = world.rental(renter=gasless)
        permit = world.permit(gasless, 120 * USD - 1, world.now + 600)

        refusal = world.refusal(
            world.escrow.openWithPermit, rental.terms, 10_000, rental.agreement_signature, permit
        )

        assert refusal[0] == "ERC20InsufficientAllowance"


class TestOpenWithAuthorization:
    def test_pulls_exactly_what_is_due_under_a_nonce_that_names_the_rental(self, world, gasless):
        rental = world.rental(renter=gasless)
        nonce = rental.fund_nonce(5_000)
        authorization = world.authorization(gasless, 70 * USD, nonce)

        transaction = world.escrow.openWithAuthorization(
            rental.terms, 5_000, rental.fund(5_000), authorization, {"from": world.relayer}
        )

        assert transaction.return_value == "0x" + rental.id.hex()
        assert world.purse(gasless) == 130 * USD
        assert world.token.authorizationState(gasless.address, nonce) is True

    def test_an_authorization_for_another_rental_opens_nothing(self, world, gasless):
        rental = world.rental(renter=gasless)
        other = world.rental(renter=gasless, salt=b"\x02" * 32)
        authorization = world.authorization(gasless, 120 * USD, other.fund_nonce(10_000))

        refusal = world.refusal(
            world.escrow.openWithAuthorization,
            rental.terms,
            10_000,
            rental.agreement_signature,
            authorization,
        )

        assert refusal == ("ERC3009InvalidSignature",)


class TestOpenFromBalance:
    @pytest.mark.parametrize("key", [Secp256k1Key("holder"), P256Key("passkey")], ids=["secp256k1", "p256"])
    def test_takes_it_from_the_renters_account(self, world, sender, key):
        rental = world.rental(renter=key)
        payer = sender(Secp256k1Key("renter"))
        world.escrow.deposit(world.token, account_of(key), 150 * USD, {"from": payer})

        transaction = world.escrow.openFromBalance(
            rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer}
        )

        assert transaction.return_value == "0x" + rental.id.hex()
        assert world.credit(key) == 30 * USD
        assert world.held == 150 * USD

    def test_refuses_more_than_the_account_holds(self, world):
        rental = world.rental()

        refusal = world.refusal(
            world.escrow.openFromBalance, rental.terms, 10_000, rental.agreement_signature
        )

        assert refusal == ("RentalEscrow_BalanceTooLow", account_of(rental.renter), 0, 120 * USD)
