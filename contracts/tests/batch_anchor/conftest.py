"""The anchor on the tests' chain."""

import pytest
from brownie import BatchAnchor


@pytest.fixture(scope="session")
def anchor(furnished):
    return furnished.relayer.deploy(BatchAnchor)
