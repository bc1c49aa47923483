"""The marketplace as a set of children: start in order, watch, restart what dies, stop in reverse order."""

import json
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hireling.durable import make_private_folder, write_atomically
from services.chassis.health import SERVICES
from services.embedded.chain_state import ChainState
from services.embedded.children import Child, answers, inherited, require_free_port
from services.embedded.errors import EmbeddedError
from services.embedded.settings import DEV_CHAIN_ID, PROJECT, EmbeddedSettings

ANVIL = PROJECT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
DEPLOY = PROJECT / "contracts/scripts/deploy.sh"
# Each has one.
DATABASES = (*SERVICES, "gateway")
DEPLOY_WITHIN = 120.0  # seconds; 5 on an idle machine
PASSWORD_BYTES = 32
Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


def make_password(path: Path) -> None:
    """Put a random password where there is none yet, for its owner to read."""
    make_private_folder(path.parent)
    if not path.exists():
        write_atomically(path, secrets.token_urlsafe(PASSWORD_BYTES).encode())


class Marketplace:
    """Chain, broker, platform and its two ingests on this machine, with their state in one folder."""

    def __init__(self, settings: EmbeddedSettings, *, say: Say = silent) -> None:
        self.settings = settings
        self._say = say
        self.chain_state = ChainState(settings.home / "chain" / "state.json")
        self.chain = self._child("chain", self._anvil_command(), ready=self._chain_answers)
        self.chain.before = self.chain_state.mend
        self.broker = self._python("broker", "services.embedded.broker", lambda: answers(settings.mqtt_port))
        self.ingest = self._python("ingest", "services.metering.ingest", lambda: True)
        self.moves = self._python("moves", "services.negotiation.ingest", lambda: True)
        self.platform = self._python("platform", "services.embedded.platform", self._gateway_answers)

    @property
    def children(self) -> tuple[Child, ...]:
        """Return the children in starting order."""
        return (self.chain, self.broker, self.platform, self.ingest, self.moves)

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports that must be free, by the variables that change them."""
        settings = self.settings
        return {
            "CHAIN_PORT": settings.chain_port,
            "MQTT_PORT": settings.mqtt_port,
            "GATEWAY_PORT": settings.gateway_port,
        }

    def start(self) -> None:
        """Bring everything up, continuing from the state on disk.

        Raises EmbeddedError and leaves nothing running where a part does not come up.
        """
        settings = self.settings
        for variable, port in self.ports.items():
            require_free_port(port, variable)
        if not ANVIL.exists():
            raise EmbeddedError(f"{ANVIL} is missing: run `make setup`")
        for folder in ("chain", "logs", "run", "secrets", "deployments", "bills"):
            (settings.home / folder).mkdir(parents=True, exist_ok=True)
        # Keys, and the readings of whoever rents: nobody else's to read.
        for private in (settings.home, settings.home / "secrets"):
            private.chmod(0o700)
        make_password(settings.mqtt_password)
        try:
            self._start(self.chain, f"chain on port {settings.chain_port}")
            # Half a minute of one core on a cold machine, and neither needs the other.
            with ThreadPoolExecutor() as both:
                for task in (both.submit(self.deploy), both.submit(self.migrate)):
                    task.result()
            self.open()
        except BaseException:
            self.stop()
            raise

    def open(self) -> None:
        """Start what trades, now that chain, contracts and databases are there."""
        settings = self.settings
        self._start(self.broker, f"MQTT broker on port {settings.mqtt_port}")
        self._start(
            self.platform,
            f"listing, negotiation, metering, settlement, gateway on port {settings.gateway_port}",
        )
        self._start(self.ingest, "ingest of signed readings")
        self._start(self.moves, "ingest of agents' moves")

    def stop(self) -> None:
        """Stop every child, last started first."""
        for child in reversed(self.children):
            child.stop()

    def kill(self) -> None:
        """Kill every child at once, as a power cut would."""
        for child in self.children:
            child.kill()

    def revive(self) -> list[str]:
        """Start again every child that has died; return their names."""
        self.chain_state.keep()
        dead = [child for child in self.children if not child.running]
        for child in dead:
            child.start()
            child.wait_ready()
        return [child.name for child in dead]

    def deploy(self) -> None:
        """Deploy the contracts by a Brownie child process, unless they are there."""
        settings = self.settings
        if not settings.deployment.exists():
            self._say("contracts: deploying escrow, registry and test stablecoin with Brownie")
        self._run(
            "contracts",
            [str(DEPLOY), "--chain-id", str(DEV_CHAIN_ID), "--unlocked", "--out", str(settings.deployment)],
        )
        facts = json.loads(settings.deployment.read_text())
        self._say(f"contracts: escrow {facts['escrow']} on chain {DEV_CHAIN_ID}")

    def migrate(self) -> None:
        """Bring each service's database to this version's schema, saying so where an older one holds data."""
        output = self._run("databases", [sys.executable, "-m", "services.embedded.databases", *DATABASES])
        for line in output.splitlines():
            self._say(f"databases: {line}")

    def _start(self, child: Child, what: str) -> None:
        child.start()
        child.wait_ready()
        self._say(f"{child.name}: {what}")

    def _run(self, name: str, command: list[str]) -> str:
        log = self._log(name)
        try:
            done = subprocess.run(  # noqa: S603 - the command is ours
                command,
                cwd=PROJECT,
                env=inherited(self.settings.environment()),
                capture_output=True,
                text=True,
                timeout=DEPLOY_WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EmbeddedError(f"{name}: not done within {DEPLOY_WITHIN:.0f} s ({log})") from error
        with log.open("a") as file:
            file.write(done.stdout + done.stderr)
        if done.returncode != 0:
            tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise EmbeddedError(f"{name}: failed with exit code {done.returncode} ({log})\n{tail}")
        return done.stdout

    def _log(self, name: str) -> Path:
        return self.settings.home / "logs" / f"{name}.log"

    def _child(self, name: str, command: list[str], *, ready: Callable[[], bool]) -> Child:
        return Child(
            name=name,
            command=command,
            environment=self.settings.environment(),
            log=self._log(name),
            ready=ready,
            cwd=PROJECT,
        )

    def _python(self, name: str, module: str, ready: Callable[[], bool]) -> Child:
        return self._child(name, [sys.executable, "-m", module], ready=ready)

    def _anvil_command(self) -> list[str]:
        settings = self.settings
        return [
            str(ANVIL),
            *("--host", "127.0.0.1", "--port", str(settings.chain_port)),
            *("--chain-id", str(DEV_CHAIN_ID), "--block-time", "1"),
            # --state alone writes nothing on kill -9; the interval bounds what a power cut loses to 1 s.
            # Nothing is answered while it writes, so states of older blocks stay out of the file: they would
            # be fifty megabytes after five minutes. Until the second block after a restart, calls at older
            # ones are refused.
            *("--state", str(self.chain_state.path), "--state-interval", "1"),
            # Else states that no longer fit into memory are written to the home folder.
            *("--prune-history", "64"),
        ]

    def _chain_answers(self) -> bool:
        return answers(self.settings.chain_port)

    def _gateway_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.settings.gateway_url}/health", timeout=2) as response:  # noqa: S310 - http, loopback
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
