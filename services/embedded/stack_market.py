"""The marketplace on the stack: each service a process of its own on RabbitMQ, PostgreSQL and Mosquitto."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pydantic_settings import SettingsConfigDict

from hireling.durable import make_private_folder, write_atomically
from services.chassis.settings import ServiceSettings
from services.embedded.children import Child, inherited
from services.embedded.errors import EmbeddedError
from services.embedded.marketplace import DATABASES, Marketplace, Say, make_password, silent
from services.embedded.programs import HIRELING
from services.embedded.settings import PROJECT, EmbeddedSettings

SHARE_GROUP = "ingest"
OPEN_WITHIN = 90.0  # seconds; nine Python processes start at once on two cores
WATCH_EVERY = 0.3  # seconds
MAKE_DATABASES = PROJECT / "infra/containers/make-databases.sh"
DATABASES_WITHIN = 60.0  # seconds
Devices = Mapping[str, Sequence[str]]


class StackSettings(EmbeddedSettings):
    """The embedded settings, with the servers' addresses; `databases` has one for each service."""

    amqp_uri: str
    mqtt_url: str
    mqtt_folder: Path
    databases: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """Return what the services must be told: the very variables that an operator sets."""
        return {
            **super().environment(),
            "HIRELING_AMQP_URI": self.amqp_uri,
            "HIRELING_MQTT_URL": self.mqtt_url,
            "METERING_SHARE_GROUP": SHARE_GROUP,
            "METERING_BROKER_PASSWORDS": str(self.mqtt_folder / "passwords"),
            "METERING_BROKER_OPERATORS": str(self.mqtt_folder / "operators"),
            "METERING_BROKER_PID_FILE": str(self.mqtt_folder / "mosquitto.pid"),
            **{f"{service.upper()}_DATABASE_URL": url for service, url in self.databases.items()},
        }


class StackServers(ServiceSettings):
    """The servers that `infra/stack.py` started for this command: STACK_AMQP_URI and so on."""

    model_config = SettingsConfigDict(env_prefix="STACK_")

    amqp_uri: str
    postgres_url: str
    mqtt_url: str
    mqtt_folder: Path

    def settings(self, **own: Any) -> StackSettings:
        """Return a marketplace's settings on these servers, made of its own ports and folder.

        Each service has a database of its name there, and a role that may open no other; both are made where
        they are missing. Raises EmbeddedError.
        """
        home = EmbeddedSettings(**own).home
        server, mqtt = urlsplit(self.postgres_url), urlsplit(self.mqtt_url)
        passwords = self._make_databases(home / "secrets" / "databases", server)
        place = f"{server.hostname}:{server.port}"
        return StackSettings(
            **own,
            amqp_uri=self.amqp_uri,
            mqtt_url=f"mqtt://{mqtt.hostname}:{mqtt.port}",
            mqtt_folder=self.mqtt_folder,
            databases={
                name: f"postgresql+psycopg://{name}:{password}@{place}/{name}"
                for name, password in passwords.items()
            },
        )

    def _make_databases(self, secrets: Path, server: SplitResult) -> dict[str, str]:
        make_private_folder(secrets)
        write_atomically(secrets / "postgres", str(server.password).encode())
        for name in DATABASES:
            make_password(secrets / name)
        where = {"PGHOST": str(server.hostname), "PGPORT": str(server.port), "SERVER_SECRETS": str(secrets)}
        done = subprocess.run(  # noqa: S603 - the command is ours
            [str(MAKE_DATABASES)],
            env=inherited(where),
            capture_output=True,
            text=True,
            timeout=DATABASES_WITHIN,
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"databases: failed with exit code {done.returncode}\n{done.stderr}")
        return {name: (secrets / name).read_text() for name in DATABASES}


class StackMarketplace(Marketplace):
    """Chain, services, their ingests, the broker's keeper, gateway; what dies is started again, as usual."""

    settings: StackSettings

    def __init__(
        self,
        settings: StackSettings,
        *,
        say: Say = silent,
        devices: Devices = MappingProxyType({}),
    ) -> None:
        """Take the options of `hireling device run` for each device, by name, that is to be for hire here."""
        super().__init__(settings, say=say)
        services = [self._python(name, f"services.{name}", lambda: True) for name in DATABASES]
        copies = [
            self._python(name, "services.metering.ingest", lambda: True) for name in ("ingest", "ingest-2")
        ]
        moves = self._python("moves", "services.negotiation.ingest", lambda: True)
        keeper = self._python("keeper", "services.metering.keeper", lambda: True)
        self._devices = [self._device(name, options) for name, options in devices.items()]
        self._children = (self.chain, *services, *copies, moves, keeper, *self._devices)
        self._restarted: SimpleQueue[str] = SimpleQueue()
        gateway = self.child("gateway")
        gateway.ready, gateway.ready_within = self._gateway_answers, OPEN_WITHIN
        self._hands = threading.Lock()  # on the children: the watch restarts what a test kills
        self._closing = threading.Event()
        self._watch: threading.Thread | None = None

    @property
    def children(self) -> tuple[Child, ...]:
        """Return the children in starting order."""
        return self._children

    @property
    def ports(self) -> dict[str, int]:
        """Return the ports of our own; the servers have theirs."""
        return {"CHAIN_PORT": self.settings.chain_port, "GATEWAY_PORT": self.settings.gateway_port}

    @property
    def running(self) -> bool:
        """Return whether it was started and not stopped."""
        return self._watch is not None

    def child(self, name: str) -> Child:
        """Return the child of this name."""
        return next(child for child in self._children if child.name == name)

    def start(self) -> None:
        """Bring everything up; when this returns every service answers, and what dies is started again."""
        super().start()
        self._begin_watch()

    def migrate(self) -> None:
        """Bring each service's database to this version's schema, as an operator does."""
        self._run("databases", [sys.executable, "-m", "services.chassis.migrations", *DATABASES])

    def open(self) -> None:
        """Start every process at once, in no order, and wait until each service answers."""
        processes = [child for child in self._children[1:] if child not in self._devices]
        for child in processes:
            child.start()
        self._say(f"services: {', '.join(child.name for child in processes)}")
        self.child("gateway").wait_ready()
        self._say(f"gateway: every service answers, on port {self.settings.gateway_port}")
        for device in self._devices:
            device.start()
            self._say(f"device: {device.name}, its log is {device.log}")

    def stop(self) -> None:
        """Stop every service at once, then the chain."""
        self.rest()
        self.chain.stop()

    def rest(self) -> None:
        """Stop every service at once, as before a restore; the chain goes on."""
        self._end_watch()
        others = self._children[1:]
        with ThreadPoolExecutor(len(others)) as all_at_once:
            list(all_at_once.map(Child.stop, others))

    def resume(self) -> None:
        """Start what rests."""
        self.open()
        self._begin_watch()

    def kill(self) -> None:
        """Kill every child at once, for good, as a power cut would."""
        self._end_watch()
        super().kill()

    def revive(self) -> list[str]:
        """Return the names of those that the watch has started again since this was last asked."""
        return [self._restarted.get() for _ in range(self._restarted.qsize())]

    def kill_children(self, *names: str) -> None:
        """Kill these children (-9); the watch starts them again."""
        with self._hands:  # not restarted between its death and our seeing it
            for name in names:
                self.child(name).kill()

    def stop_children(self, *names: str) -> None:
        """Have these children drain and end (SIGTERM); the watch starts them again."""
        with self._hands:
            for name in names:
                self.child(name).stop()

    def _restart_what_dies(self) -> None:
        while not self._closing.wait(WATCH_EVERY):
            self.chain_state.keep()
            with self._hands:
                for child in self._children:
                    if not child.running:
                        child.start()
                        self._restarted.put(child.name)

    def _device(self, name: str, options: Sequence[str]) -> Child:
        places = [
            "--home",
            str(self.settings.home / "devices" / name),
            "--gateway",
            self.settings.gateway_url,
        ]
        return self._child(name, [str(HIRELING), "device", "run", *options, *places], ready=lambda: True)

    def _begin_watch(self) -> None:
        self._closing.clear()
        self._watch = threading.Thread(target=self._restart_what_dies, name="watch")
        self._watch.start()

    def _end_watch(self) -> None:
        # Children die with the thread that started them: only when they are to stop anyway may it end.
        if self._watch is not None:
            self._closing.set()
            self._watch.join()
            self._watch = None
