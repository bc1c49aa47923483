"""What we assume of Nameko."""

from pathlib import Path

import nameko.rpc
import nameko.testing.pytest
import pytest
from eventlet.patcher import is_monkey_patched
from nameko.exceptions import serialize
from nameko.extensions import DependencyProvider


def test_an_errors_arguments_travel_as_text() -> None:
    assert serialize(ValueError(3, 2.5, None))["exc_args"] == ["3", "2.5", "None"]


def test_a_json_text_travels_unchanged() -> None:
    assert serialize(ValueError('{"tries": 3}'))["exc_args"] == ['{"tries": 3}']


def test_binding_an_extension_evaluates_its_properties() -> None:
    evaluated: list[str] = []

    class Nosy(DependencyProvider):  # type: ignore[misc]
        """Has a property that needs its container."""

        @property
        def opened(self) -> None:
            evaluated.append("opened")

    class Container:
        """Something to bind to."""

    Nosy().bind(Container(), "nosy")
    assert evaluated, "so an extension offers methods where it needs its container"


def test_its_pytest_plugin_stays_out_of_these_tests(pytestconfig: pytest.Config) -> None:
    assert "monkey_patch" in Path(nameko.testing.pytest.__file__).read_text(), (
        "it would patch every test process"
    )
    assert not pytestconfig.pluginmanager.hasplugin("pytest_nameko")
    assert not is_monkey_patched("socket")


def test_a_calls_route_is_service_and_method_on_a_durable_exchange() -> None:
    exchange = nameko.rpc.get_rpc_exchange({})
    assert (exchange.name, exchange.type, exchange.durable) == ("nameko-rpc", "topic", True)
    assert nameko.rpc.RPC_QUEUE_TEMPLATE.format("toy") == "rpc-toy"
