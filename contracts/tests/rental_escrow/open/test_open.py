from rental import USD
from signing import Secp256k1Key, account_of


class TestOpenByAllowance:
    def test_a_relayed_open_takes_prepayment_and_deposit_from_the_renter(self, world):
        rental = world.rental()
        before = world.purse(rental.renter)

        transaction = world.escrow.open(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})

        assert before - world.purse(rental.renter) == 120 * USD
        assert world.held == 120 * USD
        assert world.slot(rental) == (0, 0, rental.claim_by, 10_000, 1)
        assert transaction.return_value == "0x" + rental.id.hex()
        assert transaction.events["Opened"] == {
            "rentalId": "0x" + rental.id.hex(),
            "prepaid": 100 * USD,
            "deposit": 20 * USD,
            "fundedBps": 10_000,
        }

    def test_the_id_is_the_digest_that_wallets_sign(self, world):
        rental = world.rental()

        assert world.escrow.rentalIdOf(rental.terms) == "0x" + rental.id.hex()

    def test_refuses_a_signature_of_someone_else(self, world):
        rental = world.rental()
        stranger = Secp256k1Key("stranger")

        refusal = world.refusal(world.escrow.open, rental.terms, 10_000, stranger.sign(rental.id))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(stranger))
