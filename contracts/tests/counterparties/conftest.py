"""Contracts that meet the escrow, compiled apart from it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from brownie.project import compile_source


@pytest.fixture(scope="session")
def counterparties(furnished):
    """Deploy each once, before a test begins: Brownie knows a contract by its address, which another would get again."""
    source = (Path(__file__).parent / "Counterparties.sol").read_text()
    compiled = compile_source(source, solc_version="0.8.34")
    return SimpleNamespace(
        token=furnished.relayer.deploy(compiled.AwkwardToken),
        wallet=furnished.relayer.deploy(compiled.CodeWallet),
        liar=furnished.relayer.deploy(compiled.LyingWallet),
        verifier=furnished.relayer.deploy(compiled.KeyVerifier),
    )
