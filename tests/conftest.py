"""What holds for every test: unit tests open no network socket; the Unix pairs of event loops stay."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.chain import DevChain, deployed_chain

# How long an example takes says how busy the machine is, not whether a property holds.
settings.register_profile("hireling", deadline=None)
settings.load_profile("hireling")

# What is imported and collected stays: looking through it for garbage took a fifth of all unit tests.
gc.disable()

TESTS = Path(__file__).parent
UNIT = TESTS / "unit"
LONG = (TESTS / "e2e", TESTS / "integration/contracts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Close the network to everything under tests/unit; begin with the files that take minutes.

    One of these begun last would keep one of several workers busy alone.
    """
    for item in items:
        if item.path.is_relative_to(UNIT):
            item.add_marker(pytest.mark.disable_socket)
    items.sort(key=lambda item: item.path.parent not in LONG)


def pytest_collection_finish() -> None:
    """Look for garbage from now on, among what the tests make."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def session_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevChain]:
    """Run one chain with the contracts deployed for everything that asks for `chain`; it mines at once."""
    with deployed_chain(tmp_path_factory.mktemp("chain")) as chain:
        yield chain


@pytest.fixture
def chain(session_chain: DevChain) -> Iterator[DevChain]:
    """Return the chain as it was deployed; whatever the test does to it is undone, its clock included."""
    with session_chain.rolled_back():
        yield session_chain
