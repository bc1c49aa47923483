"""Alembic's environment of the settlement service."""

from services.chassis.migrations import run_env
from services.settlement.models import SettlementTable

run_env(SettlementTable.metadata)
