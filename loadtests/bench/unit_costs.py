"""What one connection, stored reading and event cost, for the arithmetic of docs/scale.md."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Queue
from sqlalchemy import text

from hireling.rental.topics import TOPICS
from loadtests.bench.accounts import let_in
from loadtests.bench.fleet import Cut, Machine, signed_ahead
from loadtests.bench.mqtt_line import Line
from loadtests.bench.processes import cpu_seconds, family, memory_mib, wait_for_word
from loadtests.bench.rig import running, say
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.chassis.outbox import add_new_events
from services.messages.events.listing import ListingPublished
from tests import stack
from tests.builders import NOW

CONNECTIONS = 5_000
# One reading of each device: none shares a row with another.
ALONE = 1_000
IN_BATCH, BATCHES = 50, 5
DEVICES = 100
EVENTS = 10_000
LOOK_EVERY = 0.2
WITHIN_SECONDS = 300.0
IDLE_SECONDS = 5.0

RUNS = """
    SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'reading_run%'
"""
OUTBOX = "SELECT pg_total_relation_size('outbox')"
UNSENT = "SELECT count(*) FROM outbox WHERE sent_at IS NULL"


def measure_connections(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the memory that Mosquitto holds for a device that is connected and says nothing."""
    say(f"connections: {CONNECTIONS} devices")
    devices = [f"0x{number:064x}" for number in range(CONNECTIONS)]
    addresses = let_in(devices)
    # Mosquitto reads the accounts first: they are no connection's.
    time.sleep(3)
    broker = int((stack.mqtt_folder() / "mosquitto.pid").read_text())
    words = [each.word for each in TOPICS if each.whose == "device" and "device" in each.listeners]
    before, lines = memory_mib(broker), []
    try:
        for device in devices:
            line = Line(addresses[device], client_id=device)
            lines.append(line)
            for word in words:
                line.subscribe(f"hireling/{device}/{word}")
        held = memory_mib(broker) - before
    finally:
        for line in lines:
            line.close()
    return {"broker_bytes_per_connection": round(held * 2**20 / CONNECTIONS), "topics": len(words)}


def measure_disk(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what PostgreSQL holds for a reading, indexes included: its row, and its event in the outbox."""
    say(f"disk: {ALONE} readings alone, {DEVICES * BATCHES} batches of {IN_BATCH}")
    figures: dict[str, Any] = {}
    for name, devices, each, size in (
        ("alone", ALONE, 1, 1),
        ("in_batches", DEVICES, BATCHES * IN_BATCH, IN_BATCH),
    ):
        machines = [Machine.make(number) for number in range(devices)]
        cut = Cut(signed_ahead(machines, each, size=size))
        with running(machines) as rig:
            before = {query: _count(rig.database, query) for query in (RUNS, OUTBOX)}
            rig.play(cut(each * devices // size))
            grown = {query: _count(rig.database, query) - before[query] for query in before}
        figures[f"disk_bytes_{name}"] = round(grown[RUNS] / (each * devices))
        figures[f"outbox_bytes_{name}"] = round(grown[OUTBOX] / (each * devices))
    return figures


def measure_events(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the processor time of a service for an event, from its outbox to RabbitMQ's confirm."""
    say(f"events: {EVENTS} of them")
    with stack.fresh_database("listing") as url, tempfile.TemporaryDirectory() as folder:
        migrate("listing", url=url)
        bus, log_path = stack.fresh_bus("bench"), Path(folder) / "log"
        with Connection(bus) as connection:
            exchange = Exchange("listing.events", type="topic")
            Queue("bench", exchange, routing_key=ListingPublished.type)(connection).declare()
        with log_path.open("wb") as log:
            service = subprocess.Popen(
                [sys.executable, "-m", "services.listing"],
                env={**os.environ, "HIRELING_AMQP_URI": bus, "LISTING_DATABASE_URL": url},
                stdout=log,
                stderr=log,
            )
        database = open_database(url)
        try:
            wait_for_word(log_path, b"services_started", service, seconds=60.0)
            idle = _cpu_of(service.pid)
            time.sleep(IDLE_SECONDS)
            idle = (_cpu_of(service.pid) - idle) / IDLE_SECONDS
            began, before = time.monotonic(), _cpu_of(service.pid)
            _publish(database)
            while _count(database, UNSENT):
                if time.monotonic() - began > WITHIN_SECONDS:
                    raise RuntimeError(f"the events did not leave:\n{log_path.read_text()}")
                time.sleep(LOOK_EVERY)
            used = _cpu_of(service.pid) - before - idle * (time.monotonic() - began)
        finally:
            service.terminate()
            service.wait(timeout=60)
            database.close()
    return {"outbox_cpu_us_per_event": round(used / EVENTS * 1e6)}


def _publish(database: Database) -> None:
    until = int((NOW + timedelta(days=1)).timestamp())
    events = [
        ListingPublished(
            listing=number.to_bytes(32, "big"), device=number.to_bytes(32, "big"), valid_until=until
        )
        for number in range(EVENTS)
    ]
    database.work(lambda session: add_new_events(session, events, now=NOW))


def _cpu_of(pid: int) -> float:
    return sum(cpu_seconds(each) for each in family(pid))


def _count(database: Database, query: str) -> int:
    with database.snapshot() as session:
        return int(session.execute(text(query)).scalar_one())
