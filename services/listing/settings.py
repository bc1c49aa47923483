"""Settings of the listing service: LISTING_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class ListingSettings(ServiceSettings):
    """How long a sign of life counts, how wrong clocks may be, how long a neighbour may take to answer."""

    model_config = SettingsConfigDict(env_prefix="LISTING_")

    online_seconds: int = Field(
        default=30, ge=1, description="a device is online this long after its last heartbeat"
    )
    clock_skew_seconds: int = Field(
        default=60, ge=1, description="a heartbeat's time may be this far from ours"
    )
    call_seconds: float = Field(default=5.0, gt=0, description="patience with another service")
