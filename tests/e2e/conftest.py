"""A whole marketplace of real processes for each test, on free ports, its state in the test's folder."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.embedded.marketplace import Marketplace
from services.embedded.settings import EmbeddedSettings


def free_ports(count: int) -> list[int]:
    """Return ports that nothing uses now; they are held together, so that none comes twice."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Marketplace]:
    """Return an open marketplace; every process of it is stopped after the test."""
    gateway, mqtt, chain = free_ports(3)
    settings = EmbeddedSettings(
        hireling_home=tmp_path / "market",
        gateway_port=gateway,
        mqtt_port=mqtt,
        chain_port=chain,
        settlement_claim_every=2,
    )
    market = Marketplace(settings)
    market.start()
    try:
        yield market
    finally:
        market.stop()
