"""What can happen to a marketplace, each with a way to bring it about and one to heal it."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from tests import stack
from tests.chain import ChainError, DevChain
from tests.e2e.faults.lines import Line
from tests.e2e.faults.scene import AGENTS, SERVERS, Scene, until

# Longer than the patience with a call (10 s at most), with the chain and with a confirm.
UNDER_WAY = 4  # readings between two faults
PAUSE_SECONDS = 13.0
AWAY_SECONDS = 1.5
START_SECONDS = 8.0  # a process has begun, and misses the server, after some of them
SKEWED_SECONDS = 12.0
WRONG_BY = 300
# Settlement believes what lies under one more block: the second of these reorganises what was believed.
SHALLOW, DEEP = 1, 6
NO_TRANSACTIONS: list[object] = []
# PostgreSQL's own error of a full disk, raised wherever rows are written: a small disk needs root.
DISK_FULL = """
CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$
"""
REFUSE_ROWS = """
CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON {} FOR EACH STATEMENT EXECUTE FUNCTION disk_full()
"""
TABLES = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version'
"""
PROCESSES = (
    "listing", "negotiation", "metering", "settlement", "gateway", "ingest", "moves", "keeper",
)  # fmt: skip

Act = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with something, for so long."""

    kind: str
    of: str
    inject: Act
    heal: Act
    seconds: float

    @property
    def name(self) -> str:
        """Return what it is called."""
        return f"{self.kind} {self.of}"

    def strike(self, scene: Scene) -> None:
        """Bring it about, wait, and heal it."""
        self.inject(scene)
        try:
            time.sleep(self.seconds)
        finally:
            self.heal(scene)


def every_fault() -> tuple[Fault, ...]:
    """Return the whole matrix."""
    return tuple(
        itertools.chain(
            _kills(), _stops(), _pauses(), _partitions(), _starts(), _disks(), _clocks(), _reorgs()
        )
    )


# -- death


def _kills() -> Iterator[Fault]:
    for process in (*PROCESSES, "chain"):
        yield Fault("kill", process, partial(_kill, process), _nothing, 0)
    for server in stack_servers():
        yield Fault(
            "kill",
            server,
            partial(_control, stack.kill, server),
            partial(_control, stack.start, server),
            AWAY_SECONDS,
        )
    yield Fault("kill", AGENTS, _kill_agents, _start_agents, AWAY_SECONDS)


def _stops() -> Iterator[Fault]:
    for process in PROCESSES:
        yield Fault("stop", process, partial(_stop, process), _nothing, 0)


def stack_servers() -> tuple[str, ...]:
    """Return the servers that are no process of ours."""
    return tuple(server for server in SERVERS if server != "chain")


def _kill(name: str, scene: Scene) -> None:
    scene.market.kill_children(name)


def _stop(name: str, scene: Scene) -> None:
    scene.market.stop_children(name)


def _control(act: Callable[[str], None], server: str, _: Scene) -> None:
    act(server)


def _kill_agents(scene: Scene) -> None:
    scene.crowd.kill()


def _start_agents(scene: Scene) -> None:
    scene.crowd.start()


def _nothing(_: Scene) -> None:
    """Heal nothing: the watch, or the chain itself, goes on."""


# -- pause


def _pauses() -> Iterator[Fault]:
    for process in (*PROCESSES, "chain", AGENTS):
        pause, go_on = (partial(_send, process, number) for number in (signal.SIGSTOP, signal.SIGCONT))
        yield Fault("pause", process, pause, go_on, PAUSE_SECONDS)
    for server in stack_servers():
        yield Fault(
            "pause",
            server,
            partial(_control, stack.pause, server),
            partial(_control, stack.resume, server),
            PAUSE_SECONDS,
        )


def _send(name: str, number: signal.Signals, scene: Scene) -> None:
    # Each leads a group with all that it started.
    if name == AGENTS:
        os.killpg(scene.crowd.pid, number)
        return
    process = scene.child(name).process
    if process is not None:
        os.killpg(process.pid, number)


# -- partition


def _partitions() -> Iterator[Fault]:
    for name in (*PROCESSES, AGENTS, *SERVERS):
        yield Fault(
            "silence",
            name,
            partial(_on_lines, Line.silence, name),
            partial(_on_lines, Line.open, name),
            PAUSE_SECONDS,
        )
    for server in SERVERS:
        yield Fault(
            "no answers",
            server,
            partial(_on_lines, Line.swallow_answers, server),
            partial(_make_anew, server),
            PAUSE_SECONDS,
        )
        yield Fault(
            "reset",
            server,
            partial(_on_lines, Line.reset, server),
            partial(_on_lines, Line.open, server),
            AWAY_SECONDS,
        )


def _starts() -> Iterator[Fault]:
    for server in SERVERS:
        yield Fault(
            "start first",
            server,
            partial(_start_without, server),
            partial(_on_lines, Line.open, server),
            START_SECONDS,
        )


def _start_without(server: str, scene: Scene) -> None:
    """Have all that use a server start before it is there."""
    _on_lines(Line.reset, server, scene)
    users = [name for name, its in scene.lines.items() if server in its and name != AGENTS]
    scene.market.kill_children(*users)


def _on_lines(act: Callable[[Line], None], name: str, scene: Scene) -> None:
    for line in scene.lines_of(name):
        act(line)


def _make_anew(server: str, scene: Scene) -> None:
    """Break the connections whose answers were swallowed, so that these never come, and let new ones in."""
    _on_lines(Line.reset, server, scene)
    _on_lines(Line.open, server, scene)


# -- disks


def _disks() -> Iterator[Fault]:
    for server in ("rabbitmq", "mosquitto"):
        yield Fault(
            "disk full",
            server,
            partial(_control, stack.fill_disk, server),
            partial(_control, stack.empty_disk, server),
            PAUSE_SECONDS,
        )
    yield Fault("disk full", "postgres", _fill_postgres, _empty_postgres, PAUSE_SECONDS)


def _fill_postgres(scene: Scene) -> None:
    for url in scene.databases.values():
        with _connected(url) as connection:
            connection.execute(DISK_FULL)
            for (table,) in connection.execute(TABLES).fetchall():
                connection.execute(sql.SQL(REFUSE_ROWS).format(sql.Identifier(table)))


def _empty_postgres(scene: Scene) -> None:
    for url in scene.databases.values():
        with _connected(url) as connection:
            connection.execute("DROP FUNCTION IF EXISTS disk_full CASCADE")


def _connected(url: str) -> "psycopg.Connection[tuple[str, ...]]":
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True)


# -- clocks


def _clocks() -> Iterator[Fault]:
    for wrong_by in (WRONG_BY, -WRONG_BY):
        for process in ("listing", "negotiation", "metering", "settlement", "ingest"):
            wrong, right = (partial(_set_clock, process, by) for by in (wrong_by, 0))
            yield Fault(f"clock {wrong_by:+}", process, wrong, right, SKEWED_SECONDS)
        wrong, right = (partial(_set_clock_of_agents, by) for by in (wrong_by, 0))
        yield Fault(f"clock {wrong_by:+}", AGENTS, wrong, right, SKEWED_SECONDS)


def _set_clock(name: str, wrong_by: int, scene: Scene) -> None:
    """Start the process again by another clock."""
    child = scene.child(name)
    module = child.command[-1]
    skewed = ["tests.e2e.faults.skewed", str(wrong_by)] if wrong_by else []
    child.command = [sys.executable, "-m", *skewed, module]
    before = child.process
    scene.market.kill_children(name)
    until(lambda: child.running and child.process is not before, f"a new {name}")


def _set_clock_of_agents(wrong_by: int, scene: Scene) -> None:
    scene.crowd.set_wrong(wrong_by)


# -- the chain


def _reorgs() -> Iterator[Fault]:
    for depth, of in ((SHALLOW, "a block"), (DEEP, "believed blocks")):
        yield Fault("reorg", of, partial(_reorganise, depth), _nothing, 0)


def _reorganise(depth: int, scene: Scene) -> None:
    # A chain that was started again a moment ago has the states of its blocks since then alone.
    until(lambda: _has_state(scene.chain, depth), f"the state of {depth} blocks ago")
    scene.chain.call("anvil_reorg", depth, NO_TRANSACTIONS)


def _has_state(chain: DevChain, blocks_ago: int) -> bool:
    number = int(chain.call("eth_blockNumber"), 16) - blocks_ago
    try:
        chain.call("eth_getBalance", f"0x{'00' * 20}", hex(number))
    except ChainError:
        return False
    return True


def strike_each(scene: Scene, faults: Iterable[Fault]) -> None:
    """Bring about one fault after the other under a steady load."""
    strike_groups(scene, [[fault] for fault in faults])


def strike_groups(scene: Scene, groups: Iterable[Sequence[Fault]]) -> None:
    """Bring about groups of faults under a steady load; it has to recover only between two groups."""
    scene.crowd.go()
    for faults in groups:
        _use_goes_on(scene)
        for fault in faults:
            fault.strike(scene)
    _use_goes_on(scene)


def _use_goes_on(scene: Scene) -> None:
    """Wait for readings of more than one machine, so that a fault meets rentals in use."""
    seen = len(scene.crowd.events())

    def used() -> bool:
        fresh = [
            each
            for each in scene.crowd.events()[seen:]
            if each["event"] == "reading" and each["who"].startswith("machine")
        ]
        return len(fresh) >= UNDER_WAY and len({each["who"] for each in fresh}) > 1

    until(used, "readings")
