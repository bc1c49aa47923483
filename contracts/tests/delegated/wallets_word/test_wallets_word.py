"""See wallets_word.tree."""

import pytest
from delegation import NO_CODE, WalletOf, delegate, wrapped
from eth_abi import decode
from model import Outcome, Status
from rental import HOUR, NOBODY, USD
from signing import Secp256k1Key, account_of, digest, domain

INVALID = ("RentalEscrow_InvalidSignature",)


@pytest.fixture
def wallet(codes, account, keyholder):
    """The account, which delegated to a wallet that obeys a keyholder."""
    delegate(account, codes.wallet)
    return WalletOf(account, keyholder)


def withdrawal(world, key, to, amount):
    values = {
        "account": account_of(key),
        "token": world.token.address,
        "to": to,
        "amount": amount,
        "tip": 0,
        "nonce": 0,
        "valid_until": world.now + HOUR,
    }
    return (*values.values(), key.sign(digest(domain(world.escrow.address), "Withdraw", values)))


class TestCounts:
    def test_for_a_renter_whose_tokens_it_spends(self, world, wallet):
        rental = world.opened(renter=wallet)

        assert world.slot(rental)[4] == Status.OPEN
        assert world.purse(wallet) == 880 * USD

    @pytest.mark.parametrize("party", ["renter", "owner", "owner_agent"])
    def test_for_a_party_that_exits(self, world, wallet, account, party):
        rental = world.opened(**{party: account})

        world.escrow.exit(rental.terms, rental.exit(wallet), {"from": world.relayer})

        assert world.slot(rental)[2] < rental.claim_by

    def test_for_who_withdraws(self, world, wallet, account, sender):
        world.escrow.deposit(world.token, account_of(account), 5 * USD, {"from": sender(account)})

        world.escrow.withdraw(
            *withdrawal(world, wallet, world.relayer.address, 5 * USD), {"from": world.relayer}
        )

        assert world.credit(account) == 0


class TestDoesNotCount:
    @pytest.mark.parametrize(
        ("party", "outcome"),
        [
            ("meter", Outcome.BAD_METER_SIGNATURE),
            ("renter_agent", Outcome.BAD_RENTER_AGENT_SIGNATURE),
        ],
    )
    def test_for_the_keys_of_a_claim(self, world, wallet, party, outcome):
        rental = world.opened(**{party: wallet})
        world.mine_at(rental.starts + HOUR)

        refusal = world.refusal(world.escrow.claim, rental.claim(USD, USD, USD), NOBODY)

        assert refusal == ("RentalEscrow_ClaimRefused", rental.id, outcome)

    def test_for_a_session_key_that_exits(self, world, wallet):
        rental = world.opened(renter_agent=wallet)

        refusal = world.refusal(world.escrow.exit, rental.terms, rental.exit(wallet))

        assert refusal == ("RentalEscrow_Unauthorized", account_of(wallet))

    def test_for_another_account_of_the_same_keyholder(self, world, codes, wallet):
        other = Secp256k1Key("owner")
        delegate(other, codes.wallet)
        rental = world.opened(owner=other, renter=wallet)
        _, inner = decode(["bytes", "bytes"], rental.exit(wallet))

        assert world.refusal(world.escrow.exit, rental.terms, wrapped(other.signer, inner)) == INVALID


class TestKeyInTheFormForCode:
    def test_counts_where_the_account_has_no_code(self, world, account):
        rental = world.rental(renter=account)

        world.escrow.open(
            rental.terms,
            10_000,
            wrapped(account.signer, account.sign(rental.id)),
            {"from": world.relayer},
        )

        assert world.slot(rental)[4] == Status.OPEN

    def test_counts_only_as_the_code_says(self, world, wallet, account):
        rental = world.opened(renter=account)
        signed = rental.exit(account)

        refusal = world.refusal(world.escrow.exit, rental.terms, wrapped(account.signer, signed))

        assert refusal == INVALID
        world.escrow.exit(rental.terms, signed, {"from": world.relayer})


class TestChangedInTheMiddle:
    def test_the_code_of_now_answers(self, world, codes, wallet, account, successor):
        rental = world.opened(renter=wallet)
        by_the_old = rental.exit(wallet)
        delegate(account, codes.successor)

        refusal = world.refusal(world.escrow.exit, rental.terms, by_the_old)
        world.escrow.exit(rental.terms, rental.exit(WalletOf(account, successor)), {"from": world.relayer})

        assert refusal == INVALID
        assert world.slot(rental)[2] < rental.claim_by

    def test_nothing_answers_once_it_was_taken_away(self, world, wallet, account):
        rental = world.opened(renter=wallet)
        delegate(account, NO_CODE)

        assert world.refusal(world.escrow.exit, rental.terms, rental.exit(wallet)) == INVALID

    @pytest.mark.parametrize("code", ["refusing", "burning", "obliging"])
    def test_what_was_served_stays_payable_and_the_rental_ends(self, world, codes, wallet, account, code):
        rental = world.opened(renter=wallet)
        delegate(account, getattr(codes, code))

        world.claimed(rental, 10 * USD, 50 * USD, 10 * USD)
        world.next_at(rental.claim_by + 1)
        world.escrow.settle(rental.terms, (rental.owner.address, account.address), {"from": world.relayer})

        assert world.purse(account) == 990 * USD
        assert world.slot(rental)[4] == 0


class TestThatObeysAnybody:
    def test_signs_for_whoever_asks(self, world, codes, account, sender):
        world.escrow.deposit(world.token, account_of(account), 5 * USD, {"from": sender(account)})
        delegate(account, codes.obliging)
        stolen = withdrawal(world, account, world.relayer.address, 5 * USD)

        world.escrow.withdraw(*stolen[:-1], wrapped(account.signer, b""), {"from": world.relayer})

        assert world.credit(account) == 0

    @pytest.mark.parametrize("party", ["renter", "owner", "owner_agent", "renter_agent"])
    def test_calls_for_whoever_asks(self, world, codes, account, party):
        """A call is the account's own, whoever made it call: the session key's too."""
        rental = world.opened(**{party: account})
        delegate(account, codes.obliging)
        call = world.escrow.exit.encode_input(rental.terms, b"")

        world.relayer.transfer(
            account.address, 0, data=codes.obliging.execute.encode_input(world.escrow, call)
        )

        assert world.slot(rental)[2] < rental.claim_by

    def test_takes_nothing_of_the_other_side(self, world, codes, account):
        rental = world.opened(renter=account)
        world.claimed(rental, 10 * USD, 50 * USD, 10 * USD)
        delegate(account, codes.obliging)
        until = world.now + HOUR
        forged = wrapped(account.signer, b"")
        closing = (rental.terms, (10 * USD, 0, until), forged, forged, (NOBODY, NOBODY))

        refusal = world.refusal(world.escrow.close, *closing)

        assert refusal == ("RentalEscrow_Unauthorized", account_of(account))
        assert world.credit(rental.owner) == 9_750_000
