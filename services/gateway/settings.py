"""Settings of the gateway: GATEWAY_*."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings

MQTT_PORT, TLS_PORT = 1883, 8883


class GatewaySettings(ServiceSettings):
    """Where it listens, what it tells agents to connect to, and its limits."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_")

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    public_url: str | None = Field(
        default=None, description="how others reach it, on agent cards; by default as each request did"
    )
    x402_url: str | None = Field(
        default=None, description="an x402 front that machines' agent cards name; by default none"
    )
    proxies: int = Field(
        default=0,
        ge=0,
        description="reverse proxies in front of it, whose word is taken for where a request came from",
    )
    threads: int = Field(
        default=128, ge=2, description="on the stack: requests and live streams at once, per process"
    )
    workers: int = Field(default=1, ge=1, description="on the stack: processes")
    max_streams: int = Field(
        default=32, ge=1, description="live streams at once, per process; the rest is left for requests"
    )
    max_waits: int = Field(
        default=64,
        ge=1,
        description="long polls that wait at once, per process; others are answered at once",
    )
    call_seconds: float = Field(default=10.0, gt=0, description="patience with a service")
    largest_body_bytes: int = Field(default=1_000_000, ge=1)
    rate_limit: str = Field(
        default="6000 per minute",
        description="per client address, in flask-limiter's words; moves sent together count one by one",
    )
    keep_alive_seconds: float = Field(
        default=15.0, gt=0, description="a live stream says something at least this often"
    )
    poll_seconds: float = Field(
        default=0.5, gt=0, description="how often a live stream or long poll looks again"
    )
    longest_poll_seconds: float = Field(default=10.0, ge=0)
    idempotency_hours: int = Field(
        default=24, ge=1, description="how long answers are kept for repeated requests"
    )


class NeighbourSettings(ServiceSettings):
    """What agents must know to connect: HIRELING_MQTT_URL (the broker) and HIRELING_RPC_URL (the chain)."""

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    mqtt_url: str = "mqtt://127.0.0.1:1883"
    rpc_url: str = "http://127.0.0.1:8545"

    @property
    def broker(self) -> "BrokerPlace":
        """Return where agents find the broker; what else stands in the address is for the ingest alone."""
        address = urlsplit(self.mqtt_url)
        tls = address.scheme == "mqtts"
        port = address.port or (TLS_PORT if tls else MQTT_PORT)
        return BrokerPlace(host=str(address.hostname), port=port, tls=tls)


@dataclass(frozen=True)
class BrokerPlace:
    """Where the broker listens."""

    host: str
    port: int
    tls: bool

    @property
    def address(self) -> str:
        """Return it in one word, as agents sign it."""
        return f"mqtt{'s' if self.tls else ''}://{self.host}:{self.port}"
