"""Chains of every kind, each with somebody who deploys to it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chain import CHAIN_ID, DevChain
from tests.integration.contracts.deploying import Operator

Serve = Callable[..., Operator]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return what starts an empty chain with these anvil options."""
    with ExitStack() as started:

        def start(*options: str, chain_id: int = CHAIN_ID) -> Operator:
            folder = tmp_path / f"chain-{len(list(tmp_path.iterdir()))}"
            chain = DevChain(folder, chain_id=chain_id, options=options)
            started.callback(chain.stop)
            chain.start()
            return Operator(chain, folder)

        yield start
