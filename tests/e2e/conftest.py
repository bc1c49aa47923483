"""A whole marketplace of real processes, on free ports, its state in a folder of the test's.

The embedded one is new for each test. Who asks only after what is the test's own shares one with all who do
(`common_market`), since opening one takes as long as a rental. The tests of a module that ask for one on the
stack (`stack_market`, or `market` by ``indirect`` parameter) share it, since that takes half a minute.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from services.embedded.marketplace import DATABASES, Marketplace
from services.embedded.settings import EmbeddedSettings
from services.embedded.stack_market import StackMarketplace, StackSettings
from tests import stack
from tests.chain import deployed_chain
from tests.e2e.ports import free_ports

CLAIM_EVERY = 2  # seconds


@cache
def contracts() -> tuple[bytes, bytes]:
    """Deploy the contracts once for all; return the state of a chain that has them, and the record."""
    with TemporaryDirectory() as folder:
        with deployed_chain(Path(folder)) as chain:
            record = chain.deployment.path.read_bytes()
        return chain.state_file.read_bytes(), record


def bring_contracts(market: Marketplace) -> None:
    """Lay the contracts into a marketplace that was never open: it finds them as after any restart.

    That they are deployed where they are missing is for the tests of `up` and `up-stack`.
    """
    files = (market.chain_state.path, market.settings.deployment)
    for path, content in zip(files, contracts(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@contextmanager
def opened(home: Path) -> Iterator[Marketplace]:
    """Run an embedded marketplace for the length of the block; then every process of it is stopped."""
    gateway, mqtt, chain = free_ports(3)
    settings = EmbeddedSettings(
        hireling_home=home,
        gateway_port=gateway,
        mqtt_port=mqtt,
        chain_port=chain,
        settlement_claim_every=CLAIM_EVERY,
    )
    market = Marketplace(settings)
    bring_contracts(market)
    market.start()
    try:
        yield market
    finally:
        market.stop()


@pytest.fixture
def embedded_market(tmp_path: Path) -> Iterator[Marketplace]:
    """Return an open marketplace of the test's own."""
    with opened(tmp_path / "market") as market:
        yield market


@pytest.fixture(scope="session")
def one_common_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marketplace]:
    """Run one marketplace for everybody who asks for `common_market`."""
    with opened(tmp_path_factory.mktemp("common")) as market:
        yield market


@pytest.fixture
def common_market(one_common_market: Marketplace) -> Marketplace:
    """Return an open marketplace in which others rent, or left rentals that run on."""
    # A test that failed may have left it dead.
    if not all(child.running for child in one_common_market.children):
        one_common_market.stop()
        one_common_market.start()
    return one_common_market


@pytest.fixture(scope="module")
def shared_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marketplace]:
    """Return an open marketplace that all tests of a module share."""
    with opened(tmp_path_factory.mktemp("market")) as market:
        yield market


@pytest.fixture(scope="module")
def one_stack_market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackMarketplace]:
    """Return a marketplace with a bus and databases of its own, for one module's tests."""
    gateway, chain = free_ports(2)
    with ExitStack() as cleanup:
        settings = StackSettings(
            hireling_home=tmp_path_factory.mktemp("market"),
            gateway_port=gateway,
            chain_port=chain,
            settlement_claim_every=CLAIM_EVERY,
            amqp_uri=stack.fresh_bus("e2e"),
            mqtt_url=stack.mqtt_address(),
            mqtt_folder=stack.mqtt_folder(),
            databases={name: cleanup.enter_context(stack.fresh_database(name)) for name in DATABASES},
        )
        market = StackMarketplace(settings)
        bring_contracts(market)
        cleanup.callback(market.stop)
        yield market


@pytest.fixture
def stack_market(one_stack_market: StackMarketplace) -> StackMarketplace:
    """Return the open marketplace on the stack."""
    if not one_stack_market.running:
        one_stack_market.start()
    return one_stack_market


@pytest.fixture
def market(request: pytest.FixtureRequest) -> Marketplace:
    """Return an open marketplace: embedded, or what the ``indirect`` parameter says."""
    market: Marketplace = request.getfixturevalue(f"{getattr(request, 'param', 'embedded')}_market")
    return market
