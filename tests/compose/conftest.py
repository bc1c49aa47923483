"""The stack that `make test-compose` brought up; each test asks for the copies that it needs."""

from collections.abc import Callable

import pytest

from tests.compose.containers import ONE_COPY, TWO_COPIES, Containers


@pytest.fixture(scope="session")
def stack() -> Containers:
    """Return the running stack, whatever copies it has."""
    return Containers.running()


@pytest.fixture
def containers(stack: Containers) -> Containers:
    """Return the running stack, with one copy of each service."""
    stack.up(ONE_COPY)
    return stack


@pytest.fixture
def doubled(stack: Containers) -> Containers:
    """Return the running stack, with two copies of each service that may have them."""
    stack.up(TWO_COPIES)
    return stack


@pytest.fixture
def encrypted(stack: Containers) -> Containers:
    """Return the running stack with MQTT and the bus over TLS."""
    over_tls = stack.with_file("docker-compose.tls.yml").with_file("docker-compose.bus-tls.yml")
    over_tls.up(ONE_COPY)
    return over_tls


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return how to show a measured figure, whatever comes of the test."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    assert terminal is not None
    assert capture is not None

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            terminal.ensure_newline()
            terminal.write_line(line)

    return say
