"""Contracts that meet the escrow, compiled apart from it."""

from pathlib import Path

import pytest
from brownie.project import compile_source


@pytest.fixture(scope="session")
def counterparties():
    return compile_source((Path(__file__).parent / "Counterparties.sol").read_text(), solc_version="0.8.34")
