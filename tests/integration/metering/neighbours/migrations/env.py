"""Alembic's environment of the neighbours: an outbox and an inbox is all they have."""

from sqlalchemy import MetaData

from services.chassis.migrations import run_env

run_env(MetaData())
