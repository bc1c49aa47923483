"""Settings of the operator's tools: OPERATOR_*."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings


class OperatorSettings(ServiceSettings):
    """How long to wait for a service's answer."""

    model_config = SettingsConfigDict(env_prefix="OPERATOR_")

    call_seconds: float = Field(default=10.0, gt=0, description="patience with a service")
    page: int = Field(default=100, ge=1, le=200, description="rentals compared in one call")
