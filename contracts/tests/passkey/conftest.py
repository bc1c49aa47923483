"""People who have a passkey and no wallet: they send no transaction, ever. Relayers do."""

import pytest
from brownie import PasskeyVerifier
from rental import USD
from signing import Secp256k1Key, account_of
from webauthn import Passkey


@pytest.fixture(scope="session")
def verifier(furnished):
    return furnished.relayer.deploy(PasskeyVerifier)


@pytest.fixture(scope="session")
def other_verifier(furnished):
    """The same code at another address: another signer for the same passkey."""
    return furnished.relayer.deploy(PasskeyVerifier)


@pytest.fixture
def passkey(verifier):
    return Passkey("somebody's phone", verifier)


@pytest.fixture
def funded(world, passkey, sender):
    """The passkey, to whose account somebody else gave 150."""
    payer = sender(Secp256k1Key("renter"))
    world.escrow.deposit(world.token, account_of(passkey), 150 * USD, {"from": payer})
    return passkey


@pytest.fixture
def opened(world, funded):
    """A rental of 100 and a deposit of 20 that a relayer opened from the passkey's balance."""
    rental = world.rental(renter=funded)
    world.escrow.openFromBalance(rental.terms, 10_000, rental.agreement_signature, {"from": world.relayer})
    return rental
