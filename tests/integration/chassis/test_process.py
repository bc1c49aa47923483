"""The runner as a process: how it starts, drains, dies and comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session

from services.chassis.database import open_database
from services.chassis.leaving import EXIT_UNDRAINED
from services.chassis.migrations import check_schema, migrate
from services.chassis.outbox import count_unsent
from services.messages.errors import OperatorError
from tests.integration.chassis.conftest import PACKAGE, end, start_process, wait
from tests.integration.chassis.toy.models import Counter, Heard

RAISES = 150


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The migrated database of the toy; the neighbour's stands beside it."""
    migrate("neighbour", url=f"sqlite:///{tmp_path}/neighbour.db", package=PACKAGE)
    migrate("toy", url=f"sqlite:///{tmp_path}/toy.db", package=PACKAGE)
    return f"sqlite:///{tmp_path}/toy.db"


@pytest.fixture
def started(tmp_path: Path, url: str) -> Iterator["Processes"]:
    """Start toys on the in-process bus; whatever still runs afterwards is killed."""
    processes = Processes(tmp_path)
    yield processes
    for process in processes.all:
        end(process)


class Processes:
    """The processes of one test."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, *, log: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
        """Start the toy and its neighbour, embedded."""
        process = start_process(
            log=log, HIRELING_HOME=str(self.home), HIRELING_AMQP_URI="hireling-memory://", **environment
        )
        self.all.append(process)
        return process


def value_of(session: Session) -> int:
    """Return the driven counter's value."""
    counter = session.get(Counter, "driven")
    return counter.value if counter else 0


def heard_of(session: Session) -> int:
    """Return how many of the driven counter's events were heard."""
    heard = session.get(Heard, "driven")
    return heard.times if heard else 0


def test_kill_nine_loses_no_event_and_repeats_none(started: Processes, url: str) -> None:
    database = open_database(url)

    def seen() -> tuple[int, int]:
        with database.snapshot() as session:
            return value_of(session), heard_of(session)

    process = started.start(TOY_RAISES=str(RAISES))
    wait(lambda: seen()[0] >= RAISES // 3, timeout=120.0)
    process.kill()
    process.wait(timeout=10)
    value, heard = seen()
    assert RAISES // 3 <= value < RAISES, "killed amid the work"
    assert heard <= value
    started.start()
    wait(lambda: seen()[1] == value, timeout=120.0)
    wait(lambda: unsent(url) == 0, timeout=60.0)
    assert seen() == (value, value)
    database.close()


def test_kill_nine_loses_no_event_whose_handler_has_failed_so_far(started: Processes, url: str) -> None:
    database = open_database(url)

    def seen() -> tuple[int, int]:
        with database.snapshot() as session:
            return value_of(session), heard_of(session)

    process = started.start(TOY_RAISES="10", TOY_FAILURES="1000")
    wait(lambda: seen()[0] == 10, timeout=120.0)
    ticks = ticks_of(url)
    wait(lambda: ticks_of(url) > ticks + 10, timeout=60.0)  # half a second: every event has left the outbox
    process.kill()
    process.wait(timeout=10)
    assert seen() == (10, 0)
    started.start()
    wait(lambda: seen() == (10, 10), timeout=120.0)
    database.close()


def unsent(url: str) -> int:
    """Return how many events have not left the toy."""
    database = open_database(url)
    with database.snapshot() as session:
        count = count_unsent(session)
    database.close()
    return count


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_drains_on_a_signal_and_exits_zero(started: Processes, url: str, how: signal.Signals) -> None:
    process = started.start(TOY_RAISES="5")
    wait(lambda: ticks_of(url) > 2, timeout=120.0)
    process.send_signal(how)
    assert process.wait(timeout=20) == 0


def test_ends_in_its_time_even_where_no_greenlet_runs(started: Processes, tmp_path: Path) -> None:
    stuck, log = tmp_path / "stuck", tmp_path / "log"
    process = started.start(log=log, TOY_STICKS=str(stuck), HIRELING_DRAIN_SECONDS="0.5")
    wait(stuck.exists, timeout=120.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == EXIT_UNDRAINED
    said = log.read_text()
    assert "drain_broken_off" in said
    assert "toy: outbox relay" in said


def test_ends_in_its_time_even_where_nobody_reads_its_log(started: Processes, tmp_path: Path) -> None:
    stuck, log = tmp_path / "stuck", tmp_path / "log"
    os.mkfifo(log)
    pipe = os.open(log, os.O_RDWR | os.O_NONBLOCK)
    try:
        process = started.start(log=log, TOY_STICKS=str(stuck), HIRELING_DRAIN_SECONDS="0.5")
        wait(stuck.exists, timeout=120.0)
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"x")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == EXIT_UNDRAINED
    finally:
        os.close(pipe)


def ticks_of(url: str) -> int:
    """Return how often the toy's timer ran."""
    database = open_database(url)
    with database.snapshot() as session:
        counter = session.get(Counter, "ticks")
    database.close()
    return counter.value if counter else 0


def test_exits_one_when_a_background_task_falls(started: Processes) -> None:
    assert started.start(TOY_FALLS="1").wait(timeout=30) == 1


def test_exits_with_the_configuration_code_before_its_migrations(tmp_path: Path) -> None:
    process = Processes(tmp_path / "empty").start()
    assert process.wait(timeout=30) == 78


def test_says_which_revision_is_there_and_which_is_needed(url: str) -> None:
    check_schema("toy", url=url, package=PACKAGE)
    database = open_database(url)
    with database.unit_of_work() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    database.close()
    with pytest.raises(OperatorError, match="database of toy is at revision 0000, this version needs 0001"):
        check_schema("toy", url=url, package=PACKAGE)


def test_the_standard_library_is_patched_before_psycopg_comes() -> None:
    program = (
        "import services.chassis.green, eventlet.patcher\n"
        "import psycopg.waiting\n"
        "assert eventlet.patcher.is_monkey_patched('socket')\n"
        "assert psycopg.waiting.wait is services.chassis.green._wait\n"
        "assert psycopg.waiting.wait_conn is not psycopg.waiting.wait_c\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
