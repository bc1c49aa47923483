"""The stack in containers that `infra/compose.py run` brought up, as tests ask and change it."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
COMPOSE_FILE = "COMPOSE_FILE"
# Services of which any number may run, and the gateway, whose copies each take a port of a range.
SCALED = (
    "gateway",
    "listing",
    "negotiation",
    "negotiation-ingest",
    "metering",
    "metering-ingest",
    "settlement",
)
ONE_COPY = dict.fromkeys(SCALED, 1)
TWO_COPIES = dict.fromkeys(SCALED, 2)
HEALTH_PORT = 9100
GATEWAY_PORT = 8080
ASK_SECONDS = 600.0
UP_SECONDS = 600


@dataclass(frozen=True)
class GatewayAt:
    """A copy of the gateway, as `Sides` wants a marketplace."""

    gateway_url: str

    @property
    def settings(self) -> "GatewayAt":
        """Return what says where it listens."""
        return self


@dataclass
class AsAsked:
    """Which compose files and copies the stack was last brought up by; None after something was killed."""

    files: Sequence[Path] | None
    copies: Mapping[str, int]


@dataclass(frozen=True)
class Containers:
    """The stack by one or several compose files."""

    now: AsAsked
    files: Sequence[Path] = ()

    @classmethod
    def running(cls) -> "Containers":
        """Return the stack as `infra/compose.py run` brought it up. Fails where there is none."""
        if "COMPOSE_PROJECT_NAME" not in os.environ:
            raise AssertionError("these tests need the stack in containers: make test-compose")
        return cls(AsAsked(files=(), copies=ONE_COPY))

    def __call__(self, *arguments: str, seconds: float = ASK_SECONDS) -> str:
        """Run `docker compose`; return what it says."""
        return self._docker("compose", *arguments, seconds=seconds)

    def with_file(self, name: str) -> "Containers":
        """Return the same stack with one more compose file of the project."""
        return Containers(self.now, files=(*self.files, PROJECT / name))

    def up(self, copies: Mapping[str, int]) -> None:
        """Have so many copies of these services, one of each other; return when all are healthy."""
        if (self.now.files, self.now.copies) == (self.files, copies):
            return
        scale = [word for name, count in copies.items() for word in ("--scale", f"{name}={count}")]
        wait = ["--wait", "--wait-timeout", str(UP_SECONDS)]
        self.now.files = None
        self("up", "--detach", "--no-build", *wait, *scale, seconds=UP_SECONDS + 60)
        self.now.files, self.now.copies = self.files, copies

    def names(self, service: str) -> list[str]:
        """Return the containers of a service, the first copy first."""
        found = self("ps", "--all", "--format", "{{.Name}}", service).split()
        return sorted(found, key=lambda name: int(name.rpartition("-")[2]))

    def kill(self, *containers: str) -> None:
        """Kill (-9) containers; the engine leaves them dead."""
        self.now.files = None
        self._docker("kill", *containers)

    def restart(self, container: str) -> None:
        """Stop a container as an operator does, and start it."""
        self._docker("restart", "--time", "30", container)

    def lose(self, *volumes: str) -> None:
        """Take the stack down, and delete these of its volumes."""
        self.now.files = None
        self("down", "--timeout", "30")
        project = os.environ["COMPOSE_PROJECT_NAME"]
        self._docker("volume", "rm", *(f"{project}_{name}" for name in volumes))

    def refuses(self, *arguments: str) -> str:
        """Run `docker compose`, which must fail; return why."""
        done = self._run("compose", *arguments, seconds=ASK_SECONDS)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def started_at(self, container: str) -> datetime:
        """Return when the container was started."""
        said = self._docker("inspect", "--format", "{{.State.StartedAt}}", container).strip()
        return datetime.fromisoformat(f"{said.removesuffix('Z')[:26]}+00:00")

    def gateway(self, copy: int = 1) -> GatewayAt:
        """Return where a copy of the gateway listens on this machine, the oldest being the first."""
        # Compose numbers a service's copies, and keeps the numbers of those that are left.
        number = self.names("gateway")[copy - 1].rpartition("-")[2]
        where = self("port", "--index", number, "gateway", str(GATEWAY_PORT)).strip()
        return GatewayAt(f"http://{where}")

    def operate(self, verb: str) -> Any:
        """Return what the operator's tool finds."""
        said = self("run", "--rm", "--no-TTY", "operator", "--json", verb)
        return json.loads(said.splitlines()[-1])

    def layers(self, image: str) -> list[int]:
        """Return the bytes of each layer that an image's history names, the newest first."""
        said = self._docker("history", "--human=false", "--format", "{{.Size}}", image)
        return [int(size) for size in said.split()]

    def environment(self) -> dict[str, str]:
        """Return the environment by which `docker compose` finds this stack."""
        files = os.pathsep.join([os.environ[COMPOSE_FILE], *map(str, self.files)])
        return {**os.environ, COMPOSE_FILE: files}

    def _docker(self, *arguments: str, seconds: float = ASK_SECONDS) -> str:
        done = self._run(*arguments, seconds=seconds)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-3000:]}"
        return done.stdout

    def _run(self, *arguments: str, seconds: float) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["docker", *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
