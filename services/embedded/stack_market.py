"""The marketplace on the stack: each service a process of its own on RabbitMQ, PostgreSQL and Mosquitto."""

import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.embedded.children import Child
from services.embedded.marketplace import DATABASES, Marketplace
from services.embedded.settings import EmbeddedSettings

SHARE_GROUP = "ingest"
OPEN_WITHIN = 90.0  # seconds; nine Python processes start at once on two cores
WATCH_EVERY = 0.3  # seconds


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


class StackMarketplace(Marketplace):
    """Chain, services, their ingests, the broker's keeper, gateway; what dies is started again, as usual."""

    def __init__(self, settings: StackSettings) -> None:
        super().__init__(settings)
        services = [self._python(name, f"services.{name}", lambda: True) for name in DATABASES]
        copies = [
            self._python(name, "services.metering.ingest", lambda: True) for name in ("ingest", "ingest-2")
        ]
        moves = self._python("moves", "services.negotiation.ingest", lambda: True)
        keeper = self._python("keeper", "services.metering.keeper", lambda: True)
        self._children = (self.chain, *services, *copies, moves, keeper)
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
        self._closing.clear()
        self._watch = threading.Thread(target=self._restart_what_dies, name="watch")
        self._watch.start()

    def migrate(self) -> None:
        """Bring each service's database to this version's schema, as an operator does."""
        self._run("databases", [sys.executable, "-m", "services.chassis.migrations", *DATABASES])

    def open(self) -> None:
        """Start every process at once, in no order, and wait until each service answers."""
        for child in self._children[1:]:
            child.start()
        self.child("gateway").wait_ready()

    def stop(self) -> None:
        """Stop every service at once, then the chain."""
        self._end_watch()
        chain, *others = self._children
        with ThreadPoolExecutor(len(others)) as all_at_once:
            list(all_at_once.map(Child.stop, others))
        chain.stop()

    def kill(self) -> None:
        """Kill every child at once, for good, as a power cut would."""
        self._end_watch()
        super().kill()

    def kill_children(self, *names: str) -> None:
        """Kill these children (-9); the watch starts them again."""
        with self._hands:  # not restarted between its death and our seeing it
            for name in names:
                self.child(name).kill()

    def _restart_what_dies(self) -> None:
        while not self._closing.wait(WATCH_EVERY):
            with self._hands:
                for child in self._children:
                    if not child.running:
                        child.start()

    def _end_watch(self) -> None:
        # Children die with the thread that started them: only when they are to stop anyway may it end.
        if self._watch is not None:
            self._closing.set()
            self._watch.join()
            self._watch = None
