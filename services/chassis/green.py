"""Importing this first makes the process an eventlet process.

The standard library is patched before anybody holds the real one.

psycopg reads PSYCOPG_WAIT_FUNC when it is imported; its default waits in C, which stops every greenlet
(measured: two queries of 1 s took 2.0 s).
"""

import os

import eventlet

os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_selector")  # noqa: TID251 - not read but set
eventlet.monkey_patch()
