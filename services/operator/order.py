"""What a backup or a restore is told: by which settings, where everything lives, when, and whom it tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.chassis.settings import DatabaseSettings
from services.operator.archive import DATABASES
from services.operator.cluster import name_in
from services.operator.settings import BackupSettings
from services.settlement.settings import ChainSettings, SettlementSettings

FILE = "sqlite:///"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Places:
    """Where what is backed up lives."""

    databases: Mapping[str, str]
    keys: Path
    deployment: Path

    @classmethod
    def of_settings(cls) -> "Places":
        """Return them as the services' own settings name them."""
        return cls(
            databases={service: DatabaseSettings.of(service).database_url for service in DATABASES},
            keys=SettlementSettings().keys,
            deployment=ChainSettings().deployment,
        )

    @property
    def sqlite(self) -> dict[str, Path]:
        """Return the services' SQLite files."""
        return {
            service: Path(url.removeprefix(FILE))
            for service, url in self.databases.items()
            if url.startswith(FILE)
        }

    @property
    def named(self) -> dict[str, str]:
        """Return the databases' names in the cluster: the services' own where nothing says otherwise."""
        return {
            service: (not url.startswith(FILE) and name_in(url)) or service
            for service, url in self.databases.items()
        }


@dataclass(frozen=True)
class Order:
    """What one is to be done with."""

    settings: BackupSettings
    places: Places
    now: datetime
    say: Say
    """Hears what is being done."""
