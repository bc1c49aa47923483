"""See exit.tree."""

import pytest
from rental import HOUR, NOBODY, USD
from signing import P256Key, Secp256k1Key, account_of


class TestExit:
    @pytest.mark.parametrize("party", ["renter", "renter_agent", "owner", "owner_agent"])
    def test_of_any_party_ends_the_rental_after_the_notice(self, world, party):
        rental = world.opened()
        world.next_at(rental.starts + HOUR)

        transaction = world.escrow.exit(
            rental.terms, rental.exit(getattr(rental, party)), {"from": world.relayer}
        )

        claim_by = rental.starts + HOUR + rental.notice + rental.claim_window
        assert world.slot(rental)[2] == claim_by
        assert transaction.events["Exited"]["claimBy"] == claim_by

    def test_needs_no_signature_of_a_sender_who_is_a_party(self, world, sender):
        rental = world.opened()
        world.next_at(rental.starts + HOUR)

        world.escrow.exit(rental.terms, b"", {"from": sender(rental.renter)})

        assert world.slot(rental)[2] < rental.claim_by

    def test_takes_the_signature_of_a_p256_session_key(self, world):
        rental = world.opened(renter_agent=P256Key("browser"))

        world.escrow.exit(rental.terms, rental.exit(rental.renter_agent), {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by

    def test_stops_the_rate_cap_when_the_notice_is_over(self, world):
        rental = world.opened(max_rate_per_hour=6 * USD)
        world.next_at(rental.starts + HOUR)
        world.escrow.exit(rental.terms, rental.exit(rental.renter), {"from": world.relayer})
        world.next_at(rental.starts + HOUR + rental.notice + rental.claim_window)

        world.escrow.claim(rental.claim(90 * USD, 90 * USD, 90 * USD), NOBODY, {"from": world.relayer})

        assert world.slot(rental)[0] == 5 * USD + 7 * USD


class TestRefuses:
    @pytest.mark.parametrize(
        "stranger", [Secp256k1Key("meter"), Secp256k1Key("stranger")], ids=["meter", "stranger"]
    )
    def test_a_signer_who_is_no_party(self, world, stranger):
        rental = world.opened()

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(stranger))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(stranger))

    def test_what_would_not_end_the_rental_sooner(self, world):
        rental = world.opened()
        world.mine_at(rental.end_by - rental.notice)

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(rental.owner))

        assert refusal == ("RentalEscrow_WouldNotEndSooner", rental.claim_by, rental.claim_by)

    def test_a_second_exit_later(self, world):
        rental = world.opened()
        world.escrow.exit(rental.terms, rental.exit(rental.owner), {"from": world.relayer})
        world.mine_at(world.now + 1)

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(rental.owner))

        assert refusal[0] == "RentalEscrow_WouldNotEndSooner"

    def test_a_rental_that_never_opened(self, world):
        rental = world.rental()

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(rental.owner))

        assert refusal == ("RentalEscrow_NotOpen", rental.id, 0)
