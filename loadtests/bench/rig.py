"""One ingest or several on a fresh database, and a load generator in another process."""

import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text

from loadtests.bench.fleet import Letter, Machine, register
from loadtests.bench.processes import cpu_seconds, family, wait_for_word
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from tests import stack

STORED = "SELECT coalesce(sum(last_seq - first_seq + 1), 0) FROM reading_run"
TOLD = "SELECT coalesce(sum(json_array_length(payload->'readings')), 0) FROM outbox"
START_SECONDS = 60.0
DRAIN_SECONDS = 60.0
SHARE_GROUP = "bench"


@dataclass
class Rig:
    """Running ingests, their database, and what was published to them."""

    url: str
    database: Database
    folder: Path
    ingests: list[subprocess.Popen[bytes]]
    environment: Mapping[str, str]
    published: int = 0
    reports: list[dict[str, Any]] = field(default_factory=list)

    def start_ingest(self) -> None:
        """Start one more ingest; return when it is subscribed."""
        log_path = self.folder / f"ingest-{len(self.ingests)}-{time.monotonic_ns()}.log"
        with log_path.open("wb") as log:
            ingest = subprocess.Popen(
                [sys.executable, "-m", "services.metering.ingest"],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )
        self.ingests.append(ingest)
        wait_for_word(log_path, b"ingest_ready", ingest, seconds=START_SECONDS)

    def play(self, letters: Sequence[Letter], *, rate: float = 0.0) -> dict[str, Any]:
        """Publish letters, at `rate` letters a second or as fast as they are taken; return the report."""
        before = self.cpu_seconds()
        with self.generator(letters, rate=rate) as generator:
            output, _ = generator.communicate()
        if generator.returncode:
            raise RuntimeError(f"the load generator ended with {generator.returncode}")
        report: dict[str, Any] = json.loads(output)
        report["per_second"] = report["readings"] / report["seconds"]
        report["ingest_cpu_us_per_reading"] = (self.cpu_seconds() - before) / report["readings"] * 1e6
        self.reports.append(report)
        say("  " + json.dumps({name: round(value, 1) for name, value in report.items()}))
        return report

    @contextlib.contextmanager
    def generator(
        self, letters: Sequence[Letter], *, rate: float = 0.0, for_seconds: float = 0.0
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a load generator, which prints its report once all is durable.

        It publishes all once, or for some seconds again and again.
        """
        path = self.folder / "letters"
        path.write_bytes(pickle.dumps(list(letters)))
        self.published += sum(letter.readings for letter in letters)
        command = [sys.executable, "-m", "loadtests.bench.generator", stack.mqtt_url(), str(path)]
        process = subprocess.Popen([*command, str(rate), str(for_seconds)], stdout=subprocess.PIPE)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def cpu_seconds(self) -> float:
        """Return the processor time that all ingests have used, their workers' with it."""
        return sum(cpu_seconds(pid) for ingest in self.ingests for pid in family(ingest.pid))

    def counted(self) -> tuple[int, int]:
        """Return how many readings are stored, and how many were told on."""
        with self.database.snapshot() as session:
            stored = session.execute(text(STORED)).scalar_one()
            return int(stored), int(session.execute(text(TOLD)).scalar_one())

    def books(self) -> dict[str, int]:
        """Return how many of the published readings are missing, and how many are there or told twice."""
        stored, told = self.counted()
        return {"lost": self.published - stored, "duplicated": abs(told - stored)}

    def stop(self) -> None:
        """End every ingest."""
        for ingest in self.ingests:
            ingest.send_signal(signal.SIGTERM)
        for ingest in self.ingests:
            ingest.wait(timeout=DRAIN_SECONDS)


@contextlib.contextmanager
def running(machines: Sequence[Machine], *, ingests: int = 1, **settings: str) -> Iterator[Rig]:
    """Run ingests, with `settings` in their environment, on a fresh database that knows these rentals."""
    with stack.fresh_database("metering") as url, tempfile.TemporaryDirectory() as folder:
        migrate("metering", url=url)
        database = open_database(url)
        register(database, machines)
        environment = {
            "HIRELING_MQTT_URL": stack.mqtt_url(),
            "METERING_DATABASE_URL": url,
            "METERING_SHARE_GROUP": SHARE_GROUP,
            # What ingest can take is measured, with few devices or many: not what one device may send.
            "METERING_READINGS_PER_SECOND": "0",
            # As on a server: its default is a home's.
            "METERING_VERIFY_PROCESSES": os.environ.get("METERING_VERIFY_PROCESSES", "1"),
            **settings,
        }
        rig = Rig(url, database, Path(folder), [], environment)
        try:
            for _ in range(ingests):
                rig.start_ingest()
            yield rig
        finally:
            rig.stop()
            database.close()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
