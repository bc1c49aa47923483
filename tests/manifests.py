"""infra/kubernetes as it is built: overlays, their pods, and what each container finds."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[1]
KUBERNETES = PROJECT / "infra/kubernetes"
TOOLS = PROJECT / ".venv-kubernetes/bin"
POD_KINDS = {"Deployment", "StatefulSet", "Job"}
OVERLAYS = ("local", "production")
# Whose entrypoint writes its configuration where it starts.
WRITES_ITS_ROOT = {"rabbitmq"}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """What makes pods, under its name."""

    manifest: Manifest

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.manifest["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.manifest["spec"]["template"]["spec"]
        return spec

    @property
    def containers(self) -> list[dict[str, Any]]:
        containers: list[dict[str, Any]] = self.spec["containers"]
        return containers

    def security(self, container: dict[str, Any]) -> dict[str, Any]:
        return {**self.spec["securityContext"], **container["securityContext"]}


@dataclass(frozen=True)
class Overlay:
    """An overlay as it is built."""

    name: str
    manifests: list[Manifest]

    def of(self, *kinds: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] in kinds]

    def named(self, kind: str) -> set[str]:
        return {each["metadata"]["name"] for each in self.of(kind)}

    @cached_property
    def pods(self) -> list[Pod]:
        return [Pod(each) for each in self.of(*POD_KINDS)]

    def container(self, name: str) -> tuple[Pod, dict[str, Any]]:
        """Return the pod and the container of a service of docker-compose.yml."""
        if name == "metering-keeper":
            (pod,) = (each for each in self.pods if each.name == "mosquitto")
            (container,) = (each for each in pod.containers if each["name"] == "keeper")
            return pod, container
        (pod,) = (each for each in self.pods if each.name == name)
        return pod, pod.containers[0]

    def environment(self, container: dict[str, Any]) -> dict[str, str]:
        """Return what a container finds in its environment."""
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            (config,) = (
                each
                for each in self.of("ConfigMap")
                if each["metadata"]["name"] == source["configMapRef"]["name"]
            )
            found |= config["data"]
        return found | {each["name"]: each["value"] for each in container.get("env", [])}


def run_check(*arguments: object) -> subprocess.CompletedProcess[str]:
    python = TOOLS / "python"
    assert python.exists(), "make kubernetes sets up what builds and checks the manifests"
    return subprocess.run(
        [python, KUBERNETES / "check.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def build_overlays(folder: Path) -> dict[str, Overlay]:
    """Build every overlay into the folder, which also holds it against the schemas."""
    done = run_check("--to", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        name: Overlay(name, list(yaml.safe_load_all((folder / f"{name}.yaml").read_text())))
        for name in OVERLAYS
    }
