"""See open.tree and top_up.tree: paid through Permit2. The transfer contract stands at the address it has on every chain."""

from dataclasses import replace
from pathlib import Path

import pytest
from brownie.project import compile_source
from rental import USD
from signing import P256Key, Secp256k1Key, digest
from world import rpc

PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3"


@pytest.fixture(scope="session")
def permit2(furnished):
    """Put it there once, before a test begins: Brownie knows a contract by its address, which another would get again."""
    source = (Path(__file__).parent / "SignatureTransfer.sol").read_text()
    compiled = compile_source(source, solc_version="0.8.34")
    deployed = furnished.relayer.deploy(compiled.SignatureTransfer)
    rpc("anvil_setCode", PERMIT2, rpc("eth_getCode", deployed.address, "latest"))
    return PERMIT2


@pytest.fixture
def renter(world, permit2, sender):
    """A renter who trusts Permit2 with its tokens, and the escrow with none."""
    key = Secp256k1Key("renter of another wallet")
    rpc("anvil_setBalance", key.address, hex(10**18))
    world.token.mint(key.address, 200 * USD, {"from": world.relayer})
    world.token.approve(permit2, 2**256 - 1, {"from": sender(key)})
    return key


def authorization(world, key, amount, nonce, *, spender=None):
    deadline = world.now + 3600
    values = {
        "permitted": {"token": world.token.address, "amount": amount},
        "spender": spender or world.escrow.address,
        "nonce": int.from_bytes(nonce, "big"),
        "deadline": deadline,
    }
    in_domain = {"name": "Permit2", "chainId": 31337, "verifyingContract": PERMIT2}
    return (deadline, key.sign(digest(in_domain, "PermitTransferFrom", values)))


class TestOpen:
    def test_pulls_exactly_what_is_due_under_a_nonce_that_names_the_rental(self, world, renter):
        """SPECIFICATION 3.5"""
        rental = world.rental(renter=renter)
        signed = authorization(world, renter, 70 * USD, rental.fund_nonce(5_000))

        transaction = world.escrow.openWithPermit2(
            rental.terms, 5_000, rental.fund(5_000), signed, {"from": world.relayer}
        )

        assert transaction.return_value == "0x" + rental.id.hex()
        assert world.purse(renter) == 130 * USD
        assert world.slot(rental)[3:] == (5_000, 1)

    @pytest.mark.parametrize("amount", [120 * USD - 1, 120 * USD + 1])
    def test_another_amount_opens_nothing(self, world, renter, amount):
        rental = world.rental(renter=renter)
        signed = authorization(world, renter, amount, rental.fund_nonce(10_000))

        assert is_refused(world, rental, signed)

    def test_an_authorisation_for_another_rental_opens_nothing(self, world, renter):
        rental = world.rental(renter=renter)
        other = replace(rental, salt=b"\x02" * 32)
        signed = authorization(world, renter, 120 * USD, other.fund_nonce(10_000))

        assert is_refused(world, rental, signed)

    def test_an_authorisation_for_another_spender_opens_nothing(self, world, renter):
        rental = world.rental(renter=renter)
        signed = authorization(
            world, renter, 120 * USD, rental.fund_nonce(10_000), spender=world.relayer.address
        )

        assert is_refused(world, rental, signed)

    def test_a_renter_without_an_address_has_nothing_to_pull_from(self, world, permit2):
        rental = world.rental(renter=P256Key("renter"))
        signed = authorization(world, Secp256k1Key("anyone"), 120 * USD, rental.fund_nonce(10_000))

        refusal = world.refusal(
            world.escrow.openWithPermit2, rental.terms, 10_000, rental.agreement_signature, signed
        )

        assert refusal[0] == "RentalEscrow_NoAddressToPayFrom"


class TestTopUp:
    def test_pulls_exactly_the_difference(self, world, renter):
        """SPECIFICATION 3.6"""
        rental = world.rental(renter=renter)
        half = authorization(world, renter, 70 * USD, rental.fund_nonce(5_000))
        world.escrow.openWithPermit2(rental.terms, 5_000, rental.fund(5_000), half, {"from": world.relayer})
        rest = authorization(world, renter, 50 * USD, rental.fund_nonce(10_000))

        world.escrow.topUpWithPermit2(
            rental.terms, 10_000, rental.fund(10_000), rest, {"from": world.relayer}
        )

        assert world.purse(renter) == 80 * USD
        assert world.slot(rental)[3] == 10_000


def is_refused(world, rental, signed):
    call = {
        "from": world.relayer.address,
        "to": world.escrow.address,
        "data": world.escrow.openWithPermit2.encode_input(
            rental.terms, 10_000, rental.agreement_signature, signed
        ),
    }
    with pytest.raises(RuntimeError, match="revert"):
        rpc("eth_call", call, "latest")
    return True
