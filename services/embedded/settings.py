"""Where the embedded marketplace lives and which ports it takes."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings
from services.embedded.children import DRAIN_SECONDS

PROJECT = Path(__file__).resolve().parents[2]
DEV_CHAIN_ID = 31337

Port = Field(ge=1, le=65535)


class EmbeddedSettings(ServiceSettings):
    """HIRELING_HOME, GATEWAY_PORT, MQTT_PORT and CHAIN_PORT; the rest follows from them."""

    model_config = SettingsConfigDict(env_prefix="")

    hireling_home: Path = Path(".hireling")
    gateway_port: int = Field(default=8080, ge=1, le=65535)
    mqtt_port: int = Field(default=1883, ge=1, le=65535)
    chain_port: int = Field(default=8545, ge=1, le=65535)
    settlement_claim_every: int = Field(
        default=5, ge=1, description="seconds between claims of a running rental"
    )
    settlement_batch_age: int = Field(
        default=1, ge=0, description="seconds that a claim waits for others to share a transaction with"
    )
    metering_day_grace_seconds: float = Field(
        default=5.0, ge=0, description="seconds after midnight UTC until the day's readings are counted"
    )

    @property
    def home(self) -> Path:
        """Return the state folder, absolute."""
        return self.hireling_home.absolute()

    @property
    def gateway_url(self) -> str:
        """Return where the gateway listens."""
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def rpc_url(self) -> str:
        """Return the local chain's JSON-RPC address."""
        return f"http://127.0.0.1:{self.chain_port}"

    @property
    def deployment(self) -> Path:
        """Return the file that names the deployed contracts."""
        return self.home / "deployments" / f"{DEV_CHAIN_ID}.json"

    @property
    def mqtt_password(self) -> Path:
        """Return the file with the ingest's password at the broker, named as the setting that it is."""
        return self.home / "secrets" / "platform" / "hireling_mqtt_password"

    def environment(self) -> dict[str, str]:
        """Return what the child processes must be told, as environment variables."""
        return {
            "HIRELING_HOME": str(self.home),
            "HIRELING_AMQP_URI": "hireling-memory://",
            "HIRELING_MQTT_URL": f"mqtt://127.0.0.1:{self.mqtt_port}",
            "HIRELING_MQTT_VERSION": "3.1.1",
            "HIRELING_SECRETS": str(self.mqtt_password.parent),
            "HIRELING_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "HIRELING_RPC_URL": self.rpc_url,
            "HIRELING_DEPLOYMENT": str(self.deployment),
            "HIRELING_BROWNIE_HOME": str(self.home / "brownie"),
            "GATEWAY_PORT": str(self.gateway_port),
            "MQTT_PORT": str(self.mqtt_port),
            "SETTLEMENT_CLAIM_EVERY": str(self.settlement_claim_every),
            "SETTLEMENT_BATCH_AGE": str(self.settlement_batch_age),
            "METERING_DAY_GRACE_SECONDS": str(self.metering_day_grace_seconds),
        }
