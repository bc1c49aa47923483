"""The contracts on a chain of their own, and the people who use them. Each test starts from the same chain."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from brownie import DeviceRegistry, RentalEscrow, TestStablecoin, accounts, web3
from brownie.project import compile_source
from rental import NOBODY, USD
from signing import Secp256k1Key
from world import ReceiptFirst, World, revert_to, take_snapshot

PURSE = 1_000 * USD


@pytest.fixture(scope="session")
def deployed() -> World:
    # It asks for the chain's id before every call, which doubles the time that the tests take.
    if "validation" in web3.middleware_onion:
        web3.middleware_onion.remove("validation")
    web3.middleware_onion.add(ReceiptFirst)
    deployer = accounts[0]
    escrow = deployer.deploy(RentalEscrow)
    return World(
        escrow=escrow,
        token=deployer.deploy(TestStablecoin),
        registry=deployer.deploy(DeviceRegistry, escrow),
        relayer=accounts[1],
    )


@pytest.fixture(scope="session")
def furnished(deployed: World) -> World:
    """Give the renter money, and the escrow leave to take it."""
    renter = as_sender(Secp256k1Key("renter"))
    deployed.token.mint(renter, PURSE, {"from": deployed.relayer})
    deployed.token.approve(deployed.escrow, PURSE, {"from": renter})
    return deployed


@pytest.fixture
def world(furnished: World) -> Iterator[World]:
    snapshot = take_snapshot()
    yield furnished
    revert_to(snapshot)


@pytest.fixture(scope="session")
def counterparties(furnished: World) -> SimpleNamespace:
    """Deploy each once, before a test begins: Brownie knows a contract by its address, which another would get again."""
    source = (Path(__file__).parent / "counterparties/Counterparties.sol").read_text()
    compiled = compile_source(source, solc_version="0.8.34")
    return SimpleNamespace(
        token=furnished.relayer.deploy(compiled.AwkwardToken),
        wallet=furnished.relayer.deploy(compiled.CodeWallet),
        liar=furnished.relayer.deploy(compiled.LyingWallet),
        verifier=furnished.relayer.deploy(compiled.KeyVerifier),
    )


def as_sender(key: Secp256k1Key) -> Any:
    """Return a key as an account that sends transactions; gas is free on this chain."""
    return accounts.add(key.account.key.hex())


@pytest.fixture
def sender() -> Callable[[Secp256k1Key], Any]:
    return as_sender


@pytest.fixture
def nobody() -> tuple[str, str]:
    """Payees that credit both sides instead of pushing."""
    return (NOBODY, NOBODY)
