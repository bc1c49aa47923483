"""infra/kubernetes says what docker-compose.yml says: one of them alone is never changed."""

import re
from typing import Any

import pytest
import yaml

from tests.manifests import PROJECT, Overlay

COMPOSE: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]
# Made otherwise there: passwords by a script, dashboards by whoever runs a Prometheus; kubectl exec operates.
# Copies are made of the database wherever that runs, and the keys are a secret.
COMPOSE_ALONE = {
    *("secrets", "prometheus", "grafana", "operator", "migrations"),
    *("backup", "backup-cluster", "restore", "restore-cluster"),
}
# By entrypoints of their own, the images of the chain and of the contracts take arguments alone.
HAVE_AN_ENTRYPOINT = {"chain", "contracts"}
# A folder in the volume's root, which some file systems do not leave empty.
BESIDE_COMPOSE = {"postgres": {"PGDATA"}}


def flat(words: Any) -> list[str]:
    """Return a command as compose has it: a list or nothing; there $$ is a dollar."""
    return [str(word).replace("$$", "$") for word in words or []]


def default_of(value: object) -> str:
    """Return a value of compose's environment where nothing else is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))


@pytest.mark.parametrize("name", sorted(set(COMPOSE) - COMPOSE_ALONE))
class TestAsInCompose:
    def test_runs_the_same(self, name: str, local: Overlay) -> None:
        service, (_, container) = COMPOSE[name], local.container(name)
        command, arguments = container.get("command", []), container.get("args", [])
        entrypoint = [
            part if part != "/make-databases.sh" else "/containers/make-databases.sh"
            for part in flat(service.get("entrypoint"))
        ]
        if name == "databases":  # a file of a ConfigMap is not executable
            entrypoint = ["sh", *entrypoint]
        assert [*command, *arguments] == entrypoint + flat(service.get("command"))
        assert bool(command) == (name not in HAVE_AN_ENTRYPOINT)
        assert container["image"].split(":")[0] == service["image"].split(":")[0]

    def test_finds_the_same_environment(self, name: str, local: Overlay) -> None:
        _, container = local.container(name)
        found = local.environment(container)
        for added in BESIDE_COMPOSE.get(name, set()):
            del found[added]
        expected = COMPOSE[name].get("environment", {})
        assert found == {variable: default_of(value) for variable, value in expected.items()}

    def test_is_the_same_user_with_the_same_memory(self, name: str, local: Overlay) -> None:
        service, (pod, container) = COMPOSE[name], local.container(name)
        security = pod.security(container)
        own = "10000:10000" if service["image"].startswith("hireling-") else "by name"
        user = service.get("user", own)
        if ":" in user:
            assert f"{security['runAsUser']}:{security['runAsGroup']}" == user
        else:  # a name, which Kubernetes cannot know to be nobody's
            assert security["runAsUser"] > 0
        assert container["resources"]["limits"]["memory"] == service["mem_limit"].replace("m", "Mi")
        assert security["readOnlyRootFilesystem"] == bool(service.get("read_only"))

    def test_is_ready_when_compose_finds_it_healthy(self, name: str, local: Overlay) -> None:
        _, container = local.container(name)
        test = flat(COMPOSE[name].get("healthcheck", {}).get("test"))
        probe = container.get("readinessProbe", {})
        if not test:
            assert not probe
        elif "/health" in test[-1] and container["name"] == "process":
            (port,) = (
                each["containerPort"]
                for each in container["ports"]
                if each["name"] == probe["httpGet"]["port"]
            )
            assert f"/dev/tcp/127.0.0.1/{port} " in test[-1]
            assert f"GET {probe['httpGet']['path']} " in test[-1]
        else:
            asked = probe["exec"]["command"]
            assert asked == (["sh", "-c", test[1]] if test[0] == "CMD-SHELL" else test[1:])

    def test_has_as_long_to_end(self, name: str, local: Overlay) -> None:
        pod, _ = local.container(name)
        grace = COMPOSE[name].get("stop_grace_period")
        if grace is not None:
            assert pod.spec.get("terminationGracePeriodSeconds", 30) == int(grace.removesuffix("s"))


def test_migrates_what_compose_migrates_as_the_same_users(local: Overlay) -> None:
    script = (PROJECT / "infra/containers/migrate.sh").read_text()
    found = re.search(r"for service in ([a-z ]+);", script)
    assert found is not None
    assert "python -m services.chassis.migrations" in script
    (job,) = (pod for pod in local.pods if pod.name == "migrations")
    assert [
        (each["name"], each["command"], each["securityContext"]["runAsUser"]) for each in job.containers
    ] == [
        (service, ["python", "-m", "services.chassis.migrations", service], 10001 + place)
        for place, service in enumerate(found[1].split())
    ]


@pytest.mark.parametrize(
    "name", sorted(name for name in COMPOSE if COMPOSE[name].get("user", "").startswith("1000"))
)
def test_wires_lead_to_what_compose_waits_for(name: str, overlay: Overlay) -> None:
    if name in COMPOSE_ALONE:
        return
    pod, _ = overlay.container(name)
    waits = set(COMPOSE[name]["depends_on"])
    servers = {
        "rabbitmq": "rabbitmq",
        "migrations": "postgres",
        "mosquitto": "mosquitto",
        "contracts": "chain",
    }
    assert {label for label in pod.labels if label.startswith("to-")} == {
        f"to-{server}" for dependency, server in servers.items() if dependency in waits
    }
