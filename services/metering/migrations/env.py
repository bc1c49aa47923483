"""Alembic's environment of metering."""

from services.chassis.migrations import run_env
from services.metering.models import MeteringTable

run_env(MeteringTable.metadata)
