"""The stack that `make test-compose` brought up; each test asks for the copies that it needs."""

from collections.abc import Callable

import pytest

from tests.compose.containers import SCALED, Containers


@pytest.fixture
def containers() -> Containers:
    """Return the running stack, with one copy of each service."""
    found = Containers.running()
    found.up(dict.fromkeys(SCALED, 1))
    return found


@pytest.fixture
def doubled() -> Containers:
    """Return the running stack, with two copies of each service that may have them."""
    found = Containers.running()
    found.up(dict.fromkeys(SCALED, 2))
    return found


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return how to show a measured figure, whatever comes of the test."""
    terminal = request.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal is not None

    def say(line: str) -> None:
        terminal.ensure_newline()
        terminal.write_line(line)

    return say
