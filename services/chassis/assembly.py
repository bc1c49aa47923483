"""What the runner hands every service in its process.

The bus, the databases' addresses, the clock, and the start signal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from services.chassis.clock import Clock, SystemClock
from services.chassis.concurrency import GreenFlag
from services.chassis.rpc import RpcClient
from services.chassis.settings import BusSettings, DatabaseSettings

CONFIG_KEY = "hireling_assembly"


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """One process's plumbing, shared by its services."""

    bus: BusSettings
    rpc: RpcClient
    databases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    clock: Clock = field(default_factory=SystemClock)
    # Set once every service of the process hears its events: nothing may be published on the in-process bus
    # before.
    everyone_listens: GreenFlag = field(default_factory=GreenFlag)

    def database_url(self, service: str) -> str:
        """Return where the service keeps its rows: as given here, else as its environment says."""
        return self.databases.get(service) or DatabaseSettings.of(service).database_url

    def nameko_config(self) -> dict[str, Any]:
        """Return the configuration that Nameko's containers are made with."""
        return {
            "AMQP_URI": self.bus.amqp_uri,
            "max_workers": self.bus.max_workers,
            "heartbeat": 30,
            CONFIG_KEY: self,
        }


def assembly_of(container: Any) -> Assembly:
    """Return the plumbing of the process that this Nameko container runs in."""
    assembly: Assembly = container.config[CONFIG_KEY]
    return assembly
