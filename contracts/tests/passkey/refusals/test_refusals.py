"""See refusals.tree. The call is the one that takes money: opening a rental from the passkey's balance."""

from dataclasses import replace

import pytest
from eth_abi import encode
from eth_utils import keccak
from rental import HOUR, USD
from signing import P256Key, Secp256k1Key, account_of, digest, domain
from webauthn import (
    PRESENT_AND_VERIFIED,
    USER_PRESENT,
    USER_VERIFIED,
    Passkey,
    authenticator_data,
    base64url,
    client_data,
)
from world import call_object, rpc

INVALID = ("RentalEscrow_InvalidSignature",)


@pytest.fixture
def rental(world, funded):
    return world.rental(renter=funded)


@pytest.fixture
def refusal(world, rental):
    """Return how opening the rental is refused by a signature; its own would open it."""

    def refusal(signature):
        good = call_object(world.escrow.openFromBalance, rental.terms, 10_000, rental.agreement_signature)
        rpc("eth_call", {"from": world.relayer.address, **good}, "latest")
        return world.refusal(world.escrow.openFromBalance, rental.terms, 10_000, signature)

    return refusal


class TestIsNoSignature:
    @pytest.mark.parametrize("kind", ["webauthn.create", "payment.get"])
    def test_of_another_ceremony(self, refusal, rental, funded, kind):
        assert refusal(funded.present(funded.assertion(rental.id, kind=kind))) == INVALID

    def test_over_another_challenge(self, refusal, funded):
        assert refusal(funded.sign(keccak(text="another"))) == INVALID

    @pytest.mark.parametrize(
        "flags", [0, USER_PRESENT, USER_VERIFIED], ids=["neither", "not verified", "not present"]
    )
    def test_without_the_user(self, refusal, rental, funded, flags):
        assert refusal(funded.present(funded.assertion(rental.id, flags=flags))) == INVALID

    def test_of_another_passkey(self, refusal, rental, funded, verifier):
        other = Passkey("a thief's phone", verifier)

        assert refusal(funded.present(other.assertion(rental.id))) == INVALID

    def test_mirrored(self, refusal, rental, funded):
        assert refusal(funded.present(funded.assertion(rental.id).mirrored())) == INVALID

    def test_with_the_challenge_elsewhere_than_said(self, refusal, rental, funded):
        made = funded.assertion(rental.id)

        assert refusal(funded.present(replace(made, challenge_index=made.challenge_index + 1))) == INVALID

    def test_with_the_challenge_inside_another_member(self, refusal, rental, funded):
        hidden = f'https://elsewhere.example/","challenge":"{base64url(rental.id)}"'
        text = client_data(keccak(text="another"), origin=hidden)
        made = funded.assertion_of(authenticator_data(PRESENT_AND_VERIFIED), text)

        index = text.index('challenge\\":\\"' + base64url(rental.id)) - 1

        assert refusal(funded.present(replace(made, challenge_index=index))) == INVALID

    @pytest.mark.parametrize("kept", [0, 31, 191, 192, 320])
    def test_truncated(self, refusal, rental, funded, kept):
        assert refusal(funded.present(funded.assertion(rental.id).encode()[:kept])) == INVALID

    def test_as_the_escrow_takes_other_keys(self, refusal, rental, funded):
        """The same point's signature of sha256(digest) is no assertion."""
        plain = P256Key("somebody's phone")
        assert plain.signer == funded.point

        assert refusal(funded.present(plain.sign(rental.id))) == INVALID

    def test_for_another_rental(self, refusal, rental):
        assert refusal(replace(rental, salt=b"\x02" * 32).agreement_signature) == INVALID

    def test_of_another_message_of_the_rental(self, refusal, rental, funded):
        assert refusal(rental.exit(funded)) == INVALID

    @pytest.mark.parametrize(
        "change", [{"chain_id": 1}, {"escrow": "0x" + "11" * 20}], ids=["chain", "contract"]
    )
    def test_for_another_chain_or_contract(self, refusal, rental, change):
        assert refusal(replace(rental, **change).agreement_signature) == INVALID

    def test_through_an_address_that_is_no_verifier(self, refusal, rental, funded, world):
        signer = bytes.fromhex(world.token.address[2:]) + funded.point

        assert refusal(encode(["bytes", "bytes"], [signer, funded.assertion(rental.id).encode()])) == INVALID

    def test_through_an_address_without_code(self, refusal, rental, funded):
        signer = b"\x11" * 20 + funded.point

        assert refusal(encode(["bytes", "bytes"], [signer, funded.assertion(rental.id).encode()])) == INVALID


class TestIsAnotherSigners:
    def test_through_another_verifier(self, refusal, rental, other_verifier):
        other = Passkey("somebody's phone", other_verifier)
        assert other.point == rental.renter.point

        assert refusal(other.sign(rental.id)) == ("RentalEscrow_Unauthorized", account_of(other))

    def test_by_the_bare_point(self, refusal, rental):
        plain = P256Key("somebody's phone")

        assert refusal(plain.sign(rental.id)) == ("RentalEscrow_Unauthorized", account_of(plain))

    def test_whose_account_a_withdrawal_does_not_name(self, world, funded, sender, other_verifier):
        """Whoever has one point under two verifiers signs for the named account alone."""
        other = Passkey("somebody's phone", other_verifier)
        payer = sender(Secp256k1Key("renter"))
        world.escrow.deposit(world.token, account_of(other), 3 * USD, {"from": payer})
        to, until = Secp256k1Key("destination").address, world.now + HOUR
        names = ("account", "token", "to", "amount", "tip", "nonce", "valid_until")
        order = (account_of(funded), world.token.address, to, 2 * USD, 0, 0, until)
        made = funded.assertion(
            digest(domain(world.escrow.address), "Withdraw", dict(zip(names, order, strict=True)))
        )

        world.escrow.withdraw(*order, funded.present(made), {"from": world.relayer})

        assert world.purse(to) == 2 * USD
        elsewhere = (account_of(other), *order[1:])
        assert world.refusal(world.escrow.withdraw, *elsewhere, other.present(made)) == (
            "RentalEscrow_InvalidSignature",
        )
        assert world.credit(other) == 3 * USD

    def test_and_another_account(self, world, funded, other_verifier):
        others = (Passkey("somebody's phone", other_verifier), P256Key("somebody's phone"))

        assert [world.credit(key) for key in (funded, *others)] == [150 * USD, 0, 0]


@pytest.mark.parametrize("length", [66, 96, 127, 129, 160])
def test_what_is_no_encoding_of_two_strings_reverts(world, rental, funded, length):
    call = call_object(
        world.escrow.openFromBalance, rental.terms, 10_000, rental.agreement_signature[:length]
    )

    with pytest.raises(RuntimeError, match="revert"):
        rpc("eth_call", {"from": world.relayer.address, **call}, "latest")
