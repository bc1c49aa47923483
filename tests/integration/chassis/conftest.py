"""The toy and its neighbour, running on either bus with either database."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from eventlet.greenpool import GreenPool
from kombu import Exchange

from services.chassis.bus import connect
from services.chassis.database import Database, open_database
from services.chassis.logging import configure_logging
from services.chassis.migrations import migrate
from services.chassis.publishing import ConfirmedPublisher
from services.chassis.rpc import RpcClient
from services.chassis.runner import running
from services.chassis.settings import BusSettings
from services.messages.errors import OutcomeUnknown, Unavailable
from tests import stack
from tests.integration.chassis.toy.messages import CounterRaised
from tests.integration.chassis.toy.service import Neighbour, Toy

PACKAGE = "tests.integration.chassis.toy"
EVENTS = Exchange("toy.events", type="topic", durable=True)
QUEUES = (
    "rpc-toy",
    "rpc-neighbour",
    "evt-toy-counter_raised--toy.on_counter_raised",
    "evt-toy-counter_raised--toy.on_counter_raised.parked",
    "evt-toy-counter_raised--neighbour.on_counter_raised",
)


@dataclass
class Toys:
    """The running toy and neighbour, and how to reach, await, start and kill them."""

    uri: str
    client: RpcClient
    databases: dict[str, str]
    wait_until: Callable[..., None]
    at_once: Callable[[Sequence[Callable[[], Any]]], list[Any]]
    start: Callable[[], None]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def call(self, method: str, *arguments: Any, of: str = "toy") -> Any:
        """Call the toy, or its neighbour."""
        return self.client.call(of, method, *arguments, timeout=10.0)

    def database(self) -> Database:
        """Open the toy's database, as another process would."""
        return open_database(self.databases["toy"])


@pytest.fixture(autouse=True, scope="session")
def logging() -> None:
    """Log as the processes do."""
    configure_logging()


@pytest.fixture(params=["memory", pytest.param("stack", marks=pytest.mark.stack)])
def toys(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toys]:
    """The toy and its neighbour with two workers each, not started: in memory, or on real servers."""
    with ExitStack() as cleanup:
        in_memory = request.param == "memory"
        yield toys_in_memory(tmp_path, cleanup) if in_memory else toys_on_stack(tmp_path, cleanup)


def toys_in_memory(tmp_path: Path, cleanup: ExitStack, *, uri: str | None = None) -> Toys:
    """Return toys that run in this very process, on a bus of their own or on that of others before them."""
    bus = BusSettings(amqp_uri=uri or f"hireling-memory://{uuid.uuid4().hex}", max_workers=2)
    databases = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("toy", "neighbour")}
    for name, url in databases.items():
        migrate(name, url=url, package=PACKAGE)

    def start() -> None:
        platform = cleanup.enter_context(running(Toy, Neighbour, bus=bus, databases=databases))
        in_memory.client, in_memory.wait_until = platform.rpc, platform.wait_until

    def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        return list(GreenPool().imap(lambda task: task(), tasks))

    in_memory = Toys(bus.amqp_uri, RpcClient(bus.amqp_uri), databases, wait, at_once, start)
    return in_memory


def toys_on_stack(_: Path, cleanup: ExitStack) -> Toys:
    """Return toys that run as processes on RabbitMQ and PostgreSQL."""
    uri = stack.amqp_uri()
    forget_queues(uri)
    cleanup.callback(forget_queues, uri)
    databases = {name: cleanup.enter_context(stack.fresh_database(name)) for name in ("toy", "neighbour")}
    for name, url in databases.items():
        migrate(name, url=url, package=PACKAGE)
    client = RpcClient(uri)
    cleanup.callback(client.close)

    def start() -> None:
        process = start_process(
            HIRELING_AMQP_URI=uri,
            HIRELING_MAX_WORKERS="2",
            TOY_DATABASE_URL=databases["toy"],
            NEIGHBOUR_DATABASE_URL=databases["neighbour"],
        )
        cleanup.callback(end, process)
        on_stack.processes.append(process)
        wait(lambda: answers(client, process), timeout=90.0)

    def at_once(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
        with ThreadPoolExecutor(max_workers=len(tasks)) as pool:
            return list(pool.map(lambda task: task(), tasks))

    on_stack = Toys(uri, client, databases, wait, at_once, start)
    return on_stack


def publish(toys: Toys, *events: CounterRaised) -> None:
    """Put events on the bus as a relay does, without an outbox."""
    publisher = ConfirmedPublisher(toys.uri)
    for event in events:
        publisher.publish(event.model_dump(mode="json"), exchange=EVENTS, routing_key=event.type)
    publisher.drop()


def start_process(*, log: Path | None = None, **environment: str) -> subprocess.Popen[bytes]:
    """Start the toy and its neighbour as a process."""
    with ExitStack() as files:
        return subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", PACKAGE],
            env={**os.environ, **environment},
            stderr=None if log is None else files.enter_context(log.open("wb")),
        )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it still runs."""
    process.kill()
    process.wait(timeout=10)


def answers(client: RpcClient, process: subprocess.Popen[bytes]) -> bool:
    """Return whether the toy answers; fail when its process is gone."""
    assert process.poll() is None, f"the toy ended with {process.returncode}"
    try:
        client.call("neighbour", "health", timeout=5.0)
        client.call("toy", "health", timeout=5.0)
    except (
        Unavailable,
        OutcomeUnknown,
    ):  # nobody, or nobody yet, reads its queue
        return False
    return True


def wait(condition: Callable[[], Any], *, timeout: float) -> None:
    """Wait until the condition holds. Raises TimeoutError."""
    deadline = monotonic() + timeout
    while not condition():
        if monotonic() > deadline:
            raise TimeoutError(f"not true within {timeout} s")
        sleep(0.02)


def forget_queues(uri: str) -> None:
    """Delete the toys' queues, so that no test finds what another one left."""
    with connect(uri) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)
