"""Plumbing that every Nameko service bolts onto; it holds no business.

Bus, runner, database, outbox, inbox, RPC, settings, logging.
"""
