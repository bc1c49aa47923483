"""Alembic's environment of the neighbours."""

from services.chassis.migrations import run_env
from tests.integration.settlement.neighbours.models import NeighbourTable

run_env(NeighbourTable.metadata)
