"""Alembic's environment of the fake."""

from services.chassis.migrations import run_env
from tests.fakes.settlement.models import FakeTable

run_env(FakeTable.metadata)
