"""Settings of the negotiation service: NEGOTIATION_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class NegotiationSettings(ServiceSettings):
    """How long a question waits for its first offer, and how long a neighbour may take to answer."""

    model_config = SettingsConfigDict(env_prefix="NEGOTIATION_")

    answer_seconds: int = Field(default=60, ge=1, description="a request without an offer expires after this")
    call_seconds: float = Field(default=5.0, gt=0, description="patience with another service")
