"""Alembic's environment of the negotiation service."""

from services.chassis.migrations import run_env
from services.negotiation.models import NegotiationTable

run_env(NegotiationTable.metadata)
