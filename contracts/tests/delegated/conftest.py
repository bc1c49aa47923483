"""Code for accounts to run, compiled apart from the contracts, and an account that may run it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from brownie.project import compile_source
from rental import USD
from signing import Secp256k1Key

KEYHOLDER = Secp256k1Key("keyholder")
SUCCESSOR = Secp256k1Key("keyholder's successor")


@pytest.fixture(scope="session")
def codes(furnished):
    """Deploy each once, before a test: Brownie knows a contract by its address, which others get again."""
    source = (Path(__file__).parent / "Delegates.sol").read_text()
    compiled = compile_source(source, solc_version="0.8.34")
    deploy = furnished.relayer.deploy
    return SimpleNamespace(
        wallet=deploy(compiled.KeyholderWallet, KEYHOLDER.address),
        successor=deploy(compiled.KeyholderWallet, SUCCESSOR.address),
        obliging=deploy(compiled.ObligingAccount),
        refusing=deploy(compiled.RefusingAccount),
        burning=deploy(compiled.BurningAccount),
        token=deploy(compiled.HookedToken),
    )


@pytest.fixture
def account(world, codes, sender):
    """The key of an account without code yet, which has tokens and gave the escrow leave to take them."""
    key = Secp256k1Key("account")
    world.token.mint(key.address, 1_000 * USD, {"from": world.relayer})
    world.token.approve(world.escrow, 1_000 * USD, {"from": sender(key)})
    return key


@pytest.fixture
def keyholder():
    return KEYHOLDER


@pytest.fixture
def successor():
    return SUCCESSOR
