"""The contracts on a chain of their own, and the people who use them. Each test starts from the same chain."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from brownie import DeviceRegistry, RentalEscrow, TestStablecoin, accounts, web3
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
