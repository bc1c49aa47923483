"""Settings of the negotiation service: NEGOTIATION_*."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings, home


class AgreementSettings(ServiceSettings):
    """What holds for every agreement, by whichever way its moves came."""

    model_config = SettingsConfigDict(env_prefix="NEGOTIATION_")

    hold_seconds: int = Field(
        default=60, ge=1, description="an agreement without its money keeps others off its slot for this long"
    )


class NegotiationSettings(AgreementSettings):
    """How long a question waits for its first offer, and how long a neighbour may take to answer."""

    answer_seconds: int = Field(default=60, ge=1, description="a request without an offer expires after this")
    call_seconds: float = Field(default=5.0, gt=0, description="patience with another service")


class KeySettings(ServiceSettings):
    """What opens the keys of the platform's delegates: one passphrase for all copies of the service."""

    model_config = SettingsConfigDict(env_prefix="NEGOTIATION_")

    keys: Path = Field(
        default_factory=lambda: home() / "secrets" / "negotiation", description="folder of the passphrase"
    )
    passphrase: SecretStr | None = Field(
        default=None, description="opens the delegates' keys; default: a random one in that folder"
    )


class IngestSettings(AgreementSettings):
    """How many moves ingest takes over MQTT, of one agent and in all."""

    share_group: str | None = Field(
        default=None,
        description="of a shared subscription: several processes divide the moves; amqtt has none",
    )
    batch_size: int = Field(default=100, ge=1, le=256, description="moves at most in one transaction")
    queue_size: int = Field(
        default=1_000,
        ge=1,
        le=65_535,
        description="moves taken and not yet acknowledged to the broker, which keeps the rest",
    )
    queue_bytes: int = Field(
        default=8 * 2**20, ge=1, description="bytes of these moves; beyond either, nothing is read"
    )
    largest_move: int = Field(default=16_384, ge=1, description="bytes; anything longer is refused")
    moves_per_second: float = Field(default=20.0, ge=0, description="of one agent; 0 sets no limit")
    moves_burst: int = Field(default=200, ge=1, description="as many at once")
    limited_told_seconds: float = Field(
        default=1.0, ge=0, description="how often at most an agent is told that it sends too many"
    )
    tell_seconds: float = Field(
        default=0.1, gt=0, description="how often to look for sessions that moved by another way than MQTT"
    )
