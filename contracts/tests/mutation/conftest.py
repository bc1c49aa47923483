"""The mutator's modules, and the compiler they ask."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "mutation"))


@pytest.fixture(scope="package")
def compiler():
    from compiler import Compiler

    with Compiler() as running:
        yield running
