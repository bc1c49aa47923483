"""Where the MQTT broker is: HIRELING_MQTT_URL, and by which name the platform's own processes enter it."""

from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from hireling.rental.broker_users import INGEST
from services.chassis.settings import ServiceSettings

SCHEMES = {"mqtt": 1883, "mqtts": 8883}


class MqttSettings(ServiceSettings):
    """The MQTT broker, as ``mqtt://user:password@host:port`` or, encrypted, ``mqtts://``.

    HIRELING_MQTT_PASSWORD keeps the password of the user `ingest` out of the address, and as a secret file
    out of the environment.
    """

    model_config = SettingsConfigDict(env_prefix="HIRELING_")

    mqtt_url: str = "mqtt://127.0.0.1:1883"
    mqtt_version: Literal["5", "3.1.1"] = Field(
        default="5", description="of the protocol; 5 falls back to 3.1.1 where the broker does not answer it"
    )
    mqtt_password: SecretStr | None = None

    @field_validator("mqtt_url")
    @classmethod
    def _names_a_broker(cls, url: str) -> str:
        address = urlsplit(url)
        if address.scheme not in SCHEMES or not address.hostname:
            raise ValueError("an MQTT broker is named mqtt://host:port or mqtts://host:port")
        return url

    @property
    def host(self) -> str:
        """Return the broker's host."""
        return str(urlsplit(self.mqtt_url).hostname)

    @property
    def port(self) -> int:
        """Return the broker's port."""
        address = urlsplit(self.mqtt_url)
        return address.port or SCHEMES[address.scheme]

    @property
    def encrypted(self) -> bool:
        """Return whether to speak TLS."""
        return urlsplit(self.mqtt_url).scheme == "mqtts"

    @property
    def credentials(self) -> tuple[str | None, str | None]:
        """Return user name and password, each None where nothing names it."""
        address = urlsplit(self.mqtt_url)
        if address.password is None and self.mqtt_password is not None:
            return _text(address.username) or INGEST, self.mqtt_password.get_secret_value()
        return _text(address.username), _text(address.password)


def _text(part: str | None) -> str | None:
    return None if part is None else unquote(part)
