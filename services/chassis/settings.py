"""Settings shared by every process, read once from the environment; each service adds its own beside them.

What must not stand in an environment may be a file, called like the variable in lower case, in the folder
that HIRELING_SECRETS names; the environment wins.
"""

import os
import ssl
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEMORY_SCHEME = "hireling-memory"


class ServiceSettings(BaseSettings):
    """The base of a service's own settings: frozen.

    Each subclass sets ``env_prefix`` to its folder's name in capitals.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    def __init__(self, **values: Any) -> None:
        # Where settings come from cannot itself be a setting.
        super().__init__(_secrets_dir=os.environ.get("HIRELING_SECRETS"), **values)  # noqa: TID251


class HomeSettings(ServiceSettings):
    """Where the embedded platform keeps its state: HIRELING_HOME."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    home: Path = Path(".hireling")


class BusSettings(ServiceSettings):
    """The message bus: HIRELING_AMQP_URI, HIRELING_AMQP_CA, HIRELING_MAX_WORKERS (at once, per service)."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    amqp_uri: str = f"{MEMORY_SCHEME}://"
    amqp_ca: Path | None = Field(
        default=None,
        description="PEM file of the authority that signed the broker's certificate, for amqps://; "
        "default: the system's",
    )
    max_workers: int = Field(default=10, ge=1)

    @field_validator("amqp_ca")
    @classmethod
    def _holds_certificates(cls, authority: Path | None) -> Path | None:
        try:
            ssl.create_default_context(cafile=authority)
        except OSError as error:
            raise ValueError(f"no certificates can be read from {authority}: {error}") from error
        return authority

    @property
    def is_memory(self) -> bool:
        """Return whether the bus lives in this very process."""
        return is_memory(self.amqp_uri)


class DrainSettings(ServiceSettings):
    """How long a process may take to end: HIRELING_DRAIN_SECONDS."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    drain_seconds: float = Field(
        default=25.0,
        gt=0,
        description="from SIGTERM on; below what its supervisor grants, 30 s in containers",
    )


class LogSettings(ServiceSettings):
    """How to log: HIRELING_LOG_LEVEL and HIRELING_LOG_FORMAT."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "console"


class TraceSettings(ServiceSettings):
    """Where spans go: HIRELING_OTLP_ENDPOINT (nowhere where unset), and of which part of all traces."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    otlp_endpoint: str | None = Field(
        default=None, description="OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces"
    )
    trace_ratio: float = Field(
        default=1.0, ge=0, le=1, description="by the trace's id: whole rentals or none"
    )


class DatabaseSettings(ServiceSettings):
    """Where a service keeps its rows: <SERVICE>_DATABASE_URL, else a SQLite file under HIRELING_HOME."""

    database_url: str

    @classmethod
    def of(cls, service: str) -> Self:
        """Return the database settings of the service with this folder name."""
        default = f"sqlite:///{home() / service}.db"
        found = _OptionalDatabase(_env_prefix=_prefix(service))
        return cls(database_url=found.database_url or default)


class _OptionalDatabase(ServiceSettings):
    database_url: str | None = None


class MetricsSettings(ServiceSettings):
    """Where a process serves its metrics: <PROCESS>_METRICS_PORT, if any, and HIRELING_METRICS_HOST."""

    port: int | None
    host: str

    @classmethod
    def of(cls, process: str) -> Self:
        """Return the settings of the process with this name."""
        found = _MetricsPort(_env_prefix=_prefix(process))
        return cls(port=found.metrics_port, host=_MetricsHost().metrics_host)


class _MetricsPort(ServiceSettings):
    metrics_port: int | None = Field(default=None, ge=1, le=65535)


class _MetricsHost(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    metrics_host: str = "127.0.0.1"


def _prefix(process: str) -> str:
    return f"{process.upper().replace('-', '_')}_"


def home() -> Path:
    """Return the folder of the embedded platform's state, from HIRELING_HOME, absolute."""
    return HomeSettings().home.absolute()


def is_memory(amqp_uri: str) -> bool:
    """Return whether this bus lives in one process's memory."""
    return amqp_uri.startswith(f"{MEMORY_SCHEME}:")
