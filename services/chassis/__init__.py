"""Plumbing that every Nameko service bolts onto: bus, runner, database, outbox, inbox, RPC, settings,
logging. It holds no business.
"""
