"""Alembic's entry into the toy's migrations."""

from services.chassis.migrations import run_env
from tests.integration.chassis.toy.models import ToyTable

run_env(ToyTable.metadata)
