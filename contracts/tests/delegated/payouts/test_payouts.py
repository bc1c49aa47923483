"""See payouts.tree."""

import pytest
from delegation import delegate
from foreign_token import close, credit, opened
from rental import HOUR, USD
from signing import Secp256k1Key, account_of

# Enough that the 64th part which a burnt call leaves still credits (EIP-150), within EIP-7825's limit.
MUCH_GAS = 16_000_000


@pytest.fixture
def hooked(world, codes, sender):
    renter = sender(world.rental().renter)
    codes.token.mint(renter, 1_000 * USD, {"from": world.relayer})
    codes.token.approve(world.escrow, 1_000 * USD, {"from": renter})
    return codes.token


def burnt_close(world, rental, use):
    """Close with much gas, of which a payee's code may burn its share."""
    return close(world, rental, use, gas_limit=MUCH_GAS, allow_revert=True)


class TestPlainToken:
    @pytest.mark.parametrize("code", ["wallet", "refusing", "burning"])
    @pytest.mark.parametrize("party", ["owner", "renter"])
    def test_is_pushed_without_a_look_at_the_code(self, world, codes, code, party):
        rental = world.opened()
        before = world.purse(getattr(rental, party))
        delegate(getattr(rental, party), getattr(codes, code))

        burnt_close(world, rental, 10 * USD)

        paid = {"owner": 9_750_000, "renter": 110 * USD}[party]
        assert world.purse(getattr(rental, party)) - before == paid

    @pytest.mark.parametrize("code", ["refusing", "burning"])
    def test_of_a_claim_is_pushed_too(self, world, codes, code):
        rental = world.opened()
        delegate(rental.owner, getattr(codes, code))
        world.next_at(rental.starts + HOUR)

        world.escrow.claim(rental.claim(USD, USD, USD), rental.owner.address, {"from": world.relayer})

        assert world.purse(rental.owner) == 975_000


class TestTokenThatTellsItsReceivers:
    def test_is_pushed_where_the_code_lets_it_in(self, world, codes, hooked):
        rental = opened(world, hooked)
        delegate(rental.owner, codes.wallet)

        burnt_close(world, rental, 10 * USD)

        assert hooked.balanceOf(rental.owner.address) == 9_750_000

    @pytest.mark.parametrize("code", ["refusing", "burning"])
    @pytest.mark.parametrize("party", ["owner", "renter"])
    def test_is_credited_where_it_does_not_and_the_other_side_is_paid(
        self, world, codes, hooked, code, party
    ):
        rental = opened(world, hooked)
        other = "renter" if party == "owner" else "owner"
        before = {side: hooked.balanceOf(getattr(rental, side).address) for side in ("owner", "renter")}
        delegate(getattr(rental, party), getattr(codes, code))

        burnt_close(world, rental, 10 * USD)

        due = {"owner": 9_750_000, "renter": 110 * USD}
        after = {side: hooked.balanceOf(getattr(rental, side).address) for side in ("owner", "renter")}
        assert credit(world, hooked, getattr(rental, party)) == due[party]
        assert after == {party: before[party], other: before[other] + due[other]}

    def test_is_withdrawn_to_another_address_by_the_accounts_own_key(self, world, codes, hooked, sender):
        rental = opened(world, hooked)
        delegate(rental.owner, codes.refusing)
        burnt_close(world, rental, 10 * USD)
        till = Secp256k1Key("till").address

        withdrawn = (account_of(rental.owner), hooked, till, 9_750_000, 0, 0, world.now + HOUR, b"")
        world.escrow.withdraw(*withdrawn, {"from": sender(rental.owner)})

        assert hooked.balanceOf(till) == 9_750_000


class TestAllowance:
    def test_given_before_the_delegation_pays(self, world, codes, account):
        delegate(account, codes.refusing)

        rental = world.opened(renter=account)

        assert world.held == 120 * USD
        assert world.slot(rental)[3] == 10_000

    def test_given_by_the_code_pays(self, world, codes, account, keyholder, sender):
        world.token.approve(world.escrow, 0, {"from": sender(account)})
        delegate(account, codes.wallet)
        allow = world.token.approve.encode_input(world.escrow, 120 * USD)
        execute = codes.wallet.execute.encode_input(world.token, allow)
        sender(keyholder).transfer(account.address, 0, data=execute)

        world.opened(renter=account)

        assert world.held == 120 * USD

    def test_and_opening_in_one_call_of_the_code(self, world, codes, account, keyholder, sender):
        delegate(account, codes.wallet)
        rental = world.rental(renter=account)
        opening = world.escrow.open.encode_input(rental.terms, 10_000, b"")
        execute = codes.wallet.execute.encode_input(world.escrow, opening)

        sender(keyholder).transfer(account.address, 0, data=execute)

        assert world.slot(rental)[3] == 10_000
        assert world.credit(account) == 0
