"""A running settlement on the real chain."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.chassis.runner import running
from services.settlement.service import Settlement
from tests.chain import DevChain
from tests.chain_rentals import STRANGER_KEY, door
from tests.integration.settlement.market import Market
from tests.integration.settlement.neighbours.service import Neighbours


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Settlement's database, empty."""
    url = f"sqlite:///{tmp_path}/settlement.db"
    migrate("settlement", url=url)
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def environment(chain: DevChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point settlement to the test's chain, with keys of its own; it claims as soon as there is something."""
    settings = {
        "HIRELING_HOME": str(tmp_path),
        "HIRELING_RPC_URL": chain.rpc_url,
        "HIRELING_DEPLOYMENT": str(chain.deployment.path),
        "SETTLEMENT_CONFIRMATIONS": "2",
        "SETTLEMENT_CLAIM_EVERY": "1",
        "SETTLEMENT_BATCH_AGE": "0",
        "SETTLEMENT_CLOSE_PATIENCE": "5",
        "SETTLEMENT_CHAIN_SECONDS": "10",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def market(environment: None, chain: DevChain, tmp_path: Path) -> Iterator[Market]:
    """Run settlement and its neighbours in this process."""
    Neighbours.heard.clear()
    databases = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("settlement", "metering")}
    stranger = door(chain, key=STRANGER_KEY)
    with running(Settlement, Neighbours, databases=databases) as platform:
        yield Market(platform, chain, stranger, Neighbours.heard)
