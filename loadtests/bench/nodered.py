"""Node-RED doing the same job in the same run: subscribe, verify each signature, insert.

It is what many would take: its own MQTT node, one function node with the usual libraries of its world
(ethers to hash and recover, pg with a pool to insert), nothing batched. `loadtests/nodered` holds the
function and the pinned packages.
"""

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import text
from sqlalchemy.engine import make_url

from hireling.rental.typed_data import wallet_json
from loadtests.bench.fleet import Cut, Machine, register, signed_ahead
from loadtests.bench.generator import Sender, paced
from loadtests.bench.processes import wait_for_word
from loadtests.bench.rig import START_SECONDS, say
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from tests import stack
from tests.builders import DOMAIN

HOME = Path(__file__).parents[1] / "nodered"
DEVICES = 100
WARM_UP = 20
ROUNDS = 3
PER_ROUND = 40
GIVE_UP_SECONDS = 300.0
TABLE = """
CREATE TABLE nodered_reading (
    rental_id text, seq bigint, hash text, signed jsonb, PRIMARY KEY (rental_id, seq)
)"""


def measure_nodered(options: argparse.Namespace) -> dict[str, Any]:
    """Measure single readings through Node-RED, until all are in its table."""
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("Node-RED needs Node.js 20 with npm; leave it out with --only")
    say("nodered: the same job in Node-RED")
    subprocess.run([npm, "ci", "--silent"], cwd=HOME, check=True)
    machines = [Machine.make(number) for number in range(DEVICES)]
    cut = Cut(signed_ahead(machines, WARM_UP + ROUNDS * PER_ROUND))
    with stack.fresh_database("nodered") as url:
        migrate("metering", url=url)
        database = open_database(url)
        try:
            register(database, machines)
            with database.unit_of_work() as session:
                session.execute(text(TABLE))
            with running_nodered(machines, url):
                sender = Sender(stack.mqtt_url())
                rates, expected = [], 0
                for count in (WARM_UP, *[PER_ROUND] * ROUNDS):
                    letters = cut(count * DEVICES)
                    expected += len(letters)
                    start = time.monotonic()
                    paced(letters, sender, rate=0.0)
                    wait_for_rows(database, expected)
                    rates.append(len(letters) / (time.monotonic() - start))
                    say(f"  {rates[-1]:.0f} readings a second")
        finally:
            database.close()
    return {"nodered_readings_per_second": round(statistics.median(rates[1:]))}


@contextlib.contextmanager
def running_nodered(machines: list[Machine], url: str) -> Iterator[None]:
    """Run Node-RED with the flow, on this database."""
    typed = wallet_json(DOMAIN, next(machines[0].readings(1)))
    with tempfile.TemporaryDirectory() as folder:
        flows, log_path = Path(folder) / "flows.json", Path(folder) / "log"
        flows.write_text(json.dumps(flow()))
        (Path(folder) / "flows_cred.json").write_text(json.dumps(names()))
        environment = {
            "NODERED_FLOWS": str(flows),
            "NODERED_PORT": "0",
            "NODERED_POSTGRES_URL": make_url(url)
            .set(drivername="postgresql")
            .render_as_string(hide_password=False),
            "NODERED_TYPED_DATA": json.dumps({name: typed[name] for name in ("types", "domain")}),
        }
        command = ["node", "node_modules/node-red/red.js", "--settings", "settings.js", "--userDir", folder]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                command, cwd=HOME, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        try:
            wait_for_word(log_path, b"Connected to broker", process, seconds=START_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait(timeout=START_SECONDS)


def names() -> dict[str, dict[str, str | None]]:
    """Return what the flow's nodes may know alone: the name and the password at the broker."""
    broker = urlsplit(stack.mqtt_url())
    return {"broker": {"user": broker.username, "password": broker.password}}


def flow() -> list[dict[str, Any]]:
    """Return the flow: readings in, the function, nothing out."""
    broker = urlsplit(stack.mqtt_url())
    return [
        {"id": "tab", "type": "tab", "label": "ingest"},
        {
            "id": "broker",
            "type": "mqtt-broker",
            "broker": broker.hostname,
            "port": str(broker.port),
            "protocolVersion": "4",
            "keepalive": "60",
            "cleansession": True,
        },
        {
            "id": "in",
            "type": "mqtt in",
            "z": "tab",
            "topic": "hireling/+/readings",
            "qos": "1",
            "datatype": "json",
            "broker": "broker",
            "wires": [["verify"]],
        },
        {
            "id": "verify",
            "type": "function",
            "z": "tab",
            "func": (HOME / "verify_and_insert.js").read_text(),
            "outputs": 0,
            "wires": [],
        },
    ]


def wait_for_rows(database: Database, expected: int) -> None:
    """Wait until so many readings are in Node-RED's table. Raises TimeoutError."""
    give_up, found = time.monotonic() + GIVE_UP_SECONDS, 0
    while time.monotonic() < give_up:
        with database.snapshot() as session:
            found = session.execute(text("SELECT count(*) FROM nodered_reading")).scalar_one()
        if found >= expected:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{found} of {expected} readings arrived")
