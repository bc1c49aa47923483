"""Settings of the operator's tools: OPERATOR_*."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class OperatorSettings(ServiceSettings):
    """How long to wait for a service's answer."""

    model_config = SettingsConfigDict(env_prefix="OPERATOR_")

    call_seconds: float = Field(default=10.0, gt=0, description="patience with a service")
    page: int = Field(default=100, ge=1, le=200, description="rentals compared in one call")


class BackupSettings(ServiceSettings):
    """Which PostgreSQL is copied and where it is put back; without one, the services' SQLite files are."""

    model_config = SettingsConfigDict(env_prefix="OPERATOR_")

    postgres_url: SecretStr | None = Field(
        default=None, description="of a role that may replicate; needed to back up a stack"
    )
    postgres_data: Path | None = Field(
        default=None, description="the server's data folder; needed to restore a stack, where no server runs"
    )
    postgres_programs: Path | None = Field(
        default=None,
        description="PostgreSQL's own programs; default: Debian's newest, else those on the PATH",
    )
    postgres_user: str | None = Field(
        default=None, description="whose the data folder is, where root restores it; default: postgres"
    )
    superuser: str = Field(default="postgres", description="PostgreSQL's role that may do anything")
    resend_hours: float = Field(
        default=24.0, ge=0, description="events of so long before the backup leave again after a restore"
    )
