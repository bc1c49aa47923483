"""Alembic's environment of the listing service."""

from services.chassis.migrations import run_env
from services.listing.models import ListingTable

run_env(ListingTable.metadata)
