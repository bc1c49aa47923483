"""See devices.tree: the registry judges signers as the escrow does."""

import pytest
from possession import register
from signing import P256Key, Secp256k1Key, account_of
from webauthn import Passkey

OWNER, METER = Secp256k1Key("owner"), Secp256k1Key("meter")
DEVICE = int.from_bytes(account_of(METER), "big")


@pytest.fixture
def registry(world):
    """The registry, with the device that the rentals of these tests are of."""
    return register(world, METER, OWNER.address)


def opened(world, renter, **changes):
    rental = world.rental(renter=renter, **changes)
    world.escrow.openFromBalance(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})
    return rental


def word(rental, user, key):
    return (rental.terms, tuple(rental._detail.values()), user, key.sign(rental.id))


def test_a_renter_with_a_passkey_is_shown_as_its_session_key(world, registry, funded):
    rental = opened(world, funded)

    registry.mirrorUser(*word(rental, rental.renter_agent.address, OWNER), {"from": world.relayer})

    assert registry.userOf(DEVICE) == rental.renter_agent.address


@pytest.mark.parametrize("user", ["verifier", "relayer"])
def test_a_renter_of_whom_nothing_has_an_address_is_not_shown(world, registry, funded, verifier, user):
    rental = opened(world, funded, renter_agent=P256Key("session"))
    address = {"verifier": verifier.address, "relayer": world.relayer.address}[user]

    refusal = world.refusal(registry.mirrorUser, *word(rental, address, OWNER))

    assert refusal == ("DeviceRegistry_NotTheRenter", address.lower())


def test_an_agents_assertion_is_the_owners_word(world, registry, passkey):
    rental = world.opened(owner_agent=passkey)

    registry.mirrorUser(*word(rental, rental.renter.address, passkey), {"from": world.relayer})

    assert registry.userOf(DEVICE) == rental.renter.address


def test_another_passkeys_assertion_is_not(world, registry, passkey, verifier):
    rental = world.opened(owner_agent=passkey)
    other = Passkey("another phone", verifier)

    refusal = world.refusal(registry.mirrorUser, *word(rental, rental.renter.address, other))

    assert refusal == ("DeviceRegistry_NotTheOwnersWord", account_of(other))
