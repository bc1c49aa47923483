"""Alembic's environment of the gateway."""

from services.chassis.migrations import run_env
from services.gateway.models import GatewayTable

run_env(GatewayTable.metadata)
