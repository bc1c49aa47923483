"""docker-compose.yml: what must hold of every container, whoever adds the next one."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]


class OnceEach(yaml.SafeLoader):
    """As an engine reads it: a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002 - the library's signature
        """Return the mapping. Raises ValueError for a key that comes twice."""
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if doubled := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"twice: {doubled}, {node.start_mark}")
        return super().construct_mapping(node, deep=deep)


def in_place_of(loader: yaml.SafeLoader, node: yaml.SequenceNode) -> list[Any]:
    """Return a list that takes the place of another file's, instead of adding to it."""
    return loader.construct_sequence(node)


OnceEach.add_constructor("!override", in_place_of)


def services_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the services of a compose file."""
    compose: dict[str, Any] = yaml.load((PROJECT / name).read_text(), Loader=OnceEach)  # noqa: S506 - a safe one
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


TLS = services_of("docker-compose.tls.yml")
BUS_TLS = services_of("docker-compose.bus-tls.yml")
PLAIN = services_of("docker-compose.yml")
SERVICES = {**PLAIN, **{name: file[name] for file in (TLS, BUS_TLS) for name in set(file) - set(PLAIN)}}
PUBLISHED = {"gateway", "mosquitto", "chain", "grafana"}
# Not processes of the stack: plumbing, words, the agents' distribution, the one-machine supervisor.
NOT_RUN = {"agent", "chassis", "embedded", "messages"}
# Their own entrypoint, or handing secrets out, needs root to begin with.
BEGIN_AS_ROOT = {"secrets", "certificates", "bus-certificates", "migrations", "rabbitmq"}
# What is backed up belongs to several, and the backup to none of them; these are run by hand, and end.
BEGIN_AS_ROOT |= {"backup-cluster", "backup", "restore-cluster", "restore"}
# One that writes its configuration where it starts.
WRITES_ITS_ROOT = {"rabbitmq"}


def test_has_a_service_for_each_folder() -> None:
    folders = {path.parent.name for path in (PROJECT / "services").glob("*/__init__.py")} - NOT_RUN
    assert folders <= set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
class TestEach:
    def test_has_no_right_that_it_does_not_name(self, name: str) -> None:
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")

    def test_cannot_write_its_own_files(self, name: str) -> None:
        assert SERVICES[name].get("read_only", False) or name in WRITES_ITS_ROOT

    def test_is_not_root(self, name: str) -> None:
        service = SERVICES[name]
        is_ours = str(service["image"]).startswith("hireling-")
        assert name in BEGIN_AS_ROOT or service.get("user", "root" if not is_ours else "hireling") != "root"

    def test_has_a_limit_of_memory(self, name: str) -> None:
        assert SERVICES[name]["mem_limit"]

    def test_is_published_on_loopback_alone(self, name: str) -> None:
        ports: list[str] = SERVICES[name].get("ports", [])
        assert all(port.startswith("127.0.0.1:") for port in ports)
        assert (name in PUBLISHED) == bool(ports)
        assert ("outside" in SERVICES[name].get("networks", [])) == bool(ports)

    def test_finds_no_password_in_its_environment(self, name: str) -> None:
        for variable, value in SERVICES[name].get("environment", {}).items():
            assert not any(word in variable for word in ("PASS", "KEY", "TOKEN", "SECRET")) or str(
                value
            ).startswith("/"), variable
            assert "@" not in str(value), variable

    def test_tells_how_it_is_or_ends(self, name: str) -> None:
        service = SERVICES[name]
        ends = service["restart"] in {"on-failure:3", "no"}
        assert ends or "healthcheck" in service or name.startswith("device-")


def test_runs_each_service_under_a_number_of_its_own() -> None:
    order = ["gateway", "listing", "metering", "negotiation", "settlement"]
    assert {name: SERVICES[name]["user"] for name in order} == {
        name: f"{10001 + place}:{10001 + place}" for place, name in enumerate(order)
    }
    for script in ("make-secrets.sh", "migrate.sh"):
        assert " ".join(order) in (PROJECT / "infra/containers" / script).read_text()


def test_publishes_mqtt_over_tls_alone_where_asked_to() -> None:
    assert TLS["mosquitto"]["ports"] == ["${MQTTS_ADDRESS:-127.0.0.1}:${MQTTS_PORT:-8883}:8883"]
    assert TLS["gateway"]["environment"]["HIRELING_MQTT_URL"].startswith("mqtts://")
    assert {name for name in TLS if "ports" in TLS[name]} == {"mosquitto"}


def test_mosquitto_over_tls_is_as_without_it_inside() -> None:
    plain, tls = (
        [line for line in (PROJECT / "infra/containers" / name).read_text().splitlines() if line[0] != "#"]
        for name in ("mosquitto.conf", "mosquitto-tls.conf")
    )
    assert tls[: len(plain)] == plain
    assert tls[len(plain)] == "listener 8883"


def test_whoever_uses_the_bus_over_tls_knows_its_authority_and_nobody_else_its_key() -> None:
    callers = {"gateway", "listing", "negotiation", "metering", "settlement", "operator"}
    for name in callers:
        assert BUS_TLS[name]["environment"] == {"HIRELING_AMQP_CA": "/authority/ca.pem"}
        assert BUS_TLS[name]["volumes"] == ["bus-authority:/authority:ro"]
    assert set(BUS_TLS) - callers == {"secrets", "bus-certificates", "rabbitmq"}
    of_key = [name for name, service in BUS_TLS.items() if "certificates:" in str(service.get("volumes"))]
    assert sorted(of_key) == ["bus-certificates", "rabbitmq"]


def test_postgresql_is_set_up_as_without_containers() -> None:
    lines = (PROJECT / "infra/postgres/postgresql.conf").read_text().splitlines()
    wanted = {line.replace(" ", "").replace("'", "") for line in lines if not line.startswith("#")}
    command = SERVICES["postgres"]["command"]
    assert {value for flag, value in pairwise(command) if flag == "-c"} == wanted
    in_kubernetes = (PROJECT / "infra/kubernetes/overlays/local/postgres.yaml").read_text()
    assert [setting for setting in wanted if f"-c, {setting}" not in in_kubernetes] == []
