"""The test stablecoin behaves like the tokens that rentals are paid in."""

from rental import USD
from signing import Secp256k1Key, digest, domain

HOLDER, PAYEE = Secp256k1Key("holder"), Secp256k1Key("payee").address


def test_counts_in_millionths(world):
    assert (world.token.decimals(), world.token.symbol()) == (6, "tUSD")


def test_anyone_mints(world):
    world.token.mint(PAYEE, 5 * USD, {"from": world.relayer})

    assert world.purse(PAYEE) == 5 * USD


def test_a_permit_approves_without_gas_of_the_holder(world):
    permit = world.permit(HOLDER, 3 * USD, world.now + 60)

    world.token.permit(HOLDER.address, world.escrow, *permit, {"from": world.relayer})

    assert world.token.allowance(HOLDER.address, world.escrow) == 3 * USD


def test_an_authorised_transfer_is_sent_by_anyone_once(world):
    world.token.mint(HOLDER.address, 5 * USD, {"from": world.relayer})
    values = {
        "from": HOLDER.address,
        "to": PAYEE,
        "value": 5 * USD,
        "validAfter": 0,
        "validBefore": world.now + 60,
        "nonce": b"\x03" * 32,
    }
    signature = HOLDER.sign(digest(world.token_domain, "TransferWithAuthorization", values))
    call = (*values.values(), signature[64], signature[:32], signature[32:64])

    world.token.transferWithAuthorization(*call, {"from": world.relayer})

    assert world.purse(PAYEE) == 5 * USD
    refusal = world.refusal(world.token.transferWithAuthorization, *call)
    assert refusal[0] == "ERC3009UsedAuthorization"


def test_its_domain_is_its_own(world):
    other = domain(world.escrow.address, name="Hireling Test Dollar")
    values = {"owner": HOLDER.address, "spender": PAYEE, "value": 1, "nonce": 0, "deadline": world.now + 60}
    signature = HOLDER.sign(digest(other, "Permit", values))
    call = (HOLDER.address, PAYEE, 1, world.now + 60, signature[64], signature[:32], signature[32:64])

    assert world.refusal(world.token.permit, *call)[0] == "ERC2612InvalidSigner"
