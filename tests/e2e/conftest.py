"""A whole marketplace of real processes, on free ports, its state in a folder of the test's.

The embedded one is new for each test. The tests of a module that ask for one on the stack (`stack_market`, or
`market` by ``indirect`` parameter) share it, since it takes half a minute to open.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from services.embedded.marketplace import DATABASES, Marketplace
from services.embedded.settings import EmbeddedSettings
from services.embedded.stack_market import StackMarketplace, StackSettings
from tests import stack
from tests.e2e.ports import free_ports

CLAIM_EVERY = 2  # seconds


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
