"""How many readings one ingest process makes durable, and how soon: ``make bench-ingest``.

Runs inside ``infra/stack.py run``, on its Mosquitto and PostgreSQL, with one ingest process and the load
generator in another. A warm-up round is thrown away; of three rounds the median counts; the lag is measured
at half of that rate. Between the rounds the rate of bare signature checks is measured on one core, in this
same run. Readings are signed beforehand. The last line is one JSON object.
"""

import contextlib
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from sqlalchemy import text

from loadtests.bench.fleet import Letter, Machine, interleaved, register
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from tests import stack

DEVICES = 100
WARM_UP = 20
ROUNDS = 3
PER_ROUND = 60
AT_HALF_LOAD = 40
IN_BATCH = 50
BATCHES_PER_ROUND = 1
VERIFY_SECONDS = 1.0
START_SECONDS = 60.0
NO_NODE_RED = "the same job is not written for Node-RED yet, and no figure is better than a guessed one"


@dataclass
class Bench:
    """One ingest on a fresh database, and what was published to it."""

    database: Database
    folder: Path
    ingest: subprocess.Popen[bytes]
    published: int = 0
    signature_limits: list[float] = field(default_factory=list)

    def play(self, letters: Sequence[Letter], *, rate: float = 0.0) -> dict[str, Any]:
        """Publish letters from another process; return its report."""
        path = self.folder / "letters"
        path.write_bytes(pickle.dumps(list(letters)))
        before = cpu_seconds(self.ingest.pid)
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.bench.generator", stack.mqtt_url(), str(path), str(rate)],
            check=True,
            stdout=subprocess.PIPE,
        )
        report: dict[str, Any] = json.loads(done.stdout)
        used = cpu_seconds(self.ingest.pid) - before
        report["per_second"] = report["readings"] / report["seconds"]
        report["ingest_cpu_us_per_reading"] = used / report["readings"] * 1e6
        self.published += report["readings"]
        self.signature_limits.append(signature_limit())
        say(json.dumps({name: round(value, 1) for name, value in report.items()}))
        return report


def measure() -> dict[str, Any]:
    """Run the whole benchmark and return its figures."""
    return {**measure_singles(), **measure_batches(), "left_out": {"nodered_ratio": NO_NODE_RED}}


def measure_batches() -> dict[str, Any]:
    """Measure signed batches, on an ingest of their own."""
    per_device = (1 + ROUNDS * BATCHES_PER_ROUND) * IN_BATCH
    machines = [Machine.make(number) for number in range(DEVICES)]
    say(f"signing {per_device} readings of each of {DEVICES} devices, for batches of {IN_BATCH}")
    letters = interleaved([machine.batch_letters(per_device, size=IN_BATCH) for machine in machines])
    with running(machines) as bench:
        cut = iter_slices(letters)
        bench.play(cut(DEVICES))
        rounds = [bench.play(cut(BATCHES_PER_ROUND * DEVICES))["per_second"] for _ in range(ROUNDS)]
        stored, told = counted(bench.database)
        return {
            "batch50_readings_per_second": round(statistics.median(rounds)),
            "batch_lost": bench.published - stored,
            "batch_duplicated": told - stored,
        }


def measure_singles() -> dict[str, Any]:
    """Measure readings that are each signed by themselves."""
    per_device = WARM_UP + ROUNDS * PER_ROUND + AT_HALF_LOAD
    machines = [Machine.make(number) for number in range(DEVICES)]
    say(f"signing {per_device} readings of each of {DEVICES} devices")
    letters = interleaved([machine.single_letters(per_device) for machine in machines])
    with running(machines) as bench:
        cut = iter_slices(letters)
        bench.play(cut(WARM_UP * DEVICES))
        rounds = [bench.play(cut(PER_ROUND * DEVICES))["per_second"] for _ in range(ROUNDS)]
        single = statistics.median(rounds)
        half = bench.play(cut(AT_HALF_LOAD * DEVICES), rate=single / 2)
        stored, told = counted(bench.database)
        limit = statistics.median(bench.signature_limits)
        return {
            "single_readings_per_second": round(single),
            "p99_lag_ms_at_half_load": round(half["lag_p99_ms"], 1),
            "rss_mib": round(peak_rss_mib(bench.ingest.pid), 1),
            "lost": bench.published - stored,
            "duplicated": told - stored,
            "signature_limit_per_second": round(limit),
            "single_of_signature_limit": round(single / limit, 3),
        }


def iter_slices(letters: Sequence[Letter]) -> Any:
    """Return a function that cuts the next so many letters off."""
    rest = list(letters)

    def cut(count: int) -> list[Letter]:
        head = rest[:count]
        del rest[:count]
        return head

    return cut


@contextlib.contextmanager
def running(machines: Sequence[Machine]) -> Iterator[Bench]:
    """Run one ingest on a fresh database that knows these machines' rentals."""
    with stack.fresh_database("metering") as url, tempfile.TemporaryDirectory() as folder:
        migrate("metering", url=url)
        database = open_database(url)
        register(database, machines)
        log_path = Path(folder) / "ingest.log"
        environment = {"HIRELING_MQTT_URL": stack.mqtt_url(), "METERING_DATABASE_URL": url}
        with log_path.open("wb") as log:
            ingest = subprocess.Popen(
                [sys.executable, "-m", "services.metering.ingest"],
                env={**os.environ, **environment},
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(log_path, b"ingest_ready", ingest)
            yield Bench(database, Path(folder), ingest)
        finally:
            ingest.send_signal(signal.SIGTERM)
            ingest.wait(timeout=START_SECONDS)
            database.close()


def wait_for(path: Path, word: bytes, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has written this word to its log. Raises RuntimeError with the log."""
    deadline = time.monotonic() + START_SECONDS
    while word not in path.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"ingest did not start:\n{path.read_text()}")
        time.sleep(0.05)


def counted(database: Database) -> tuple[int, int]:
    """Return how many readings are stored, and how many were told on."""
    told = "SELECT coalesce(sum(json_array_length(payload->'readings')), 0) FROM outbox"
    with database.snapshot() as session:
        stored = session.execute(text("SELECT count(*) FROM reading")).scalar_one()
        return int(stored), int(session.execute(text(told)).scalar_one())


def signature_limit() -> float:
    """Return how many signatures of a known key libsecp256k1 checks in a second, in this one thread."""
    key = PrivateKey(b"\x01" * 32)
    digests = [bytes([number]) * 32 for number in range(64)]
    signed = [(key.sign(digest, hasher=None), digest) for digest in digests]
    public, checked = key.public_key, 0
    start = time.monotonic()
    while (seconds := time.monotonic() - start) < VERIFY_SECONDS:
        for signature, digest in signed:
            if not public.verify(signature, digest, hasher=None):
                raise ArithmeticError("a good signature was refused")
        checked += len(signed)
    return checked / seconds


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss_mib(pid: int) -> float:
    """Return the most memory that a process has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"no VmHWM for process {pid}")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    say(json.dumps(measure()))
