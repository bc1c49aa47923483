"""Runs services in one process until it is told to stop: all of them embedded, one of them on the stack."""

import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from types import ModuleType
from typing import Any

import eventlet
import eventlet.patcher
from kombu.exceptions import OperationalError
from nameko.runners import ServiceRunner
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.chassis.assembly import Assembly
from services.chassis.bus import knock
from services.chassis.clock import Clock, SystemClock
from services.chassis.concurrency import GreenFlag
from services.chassis.configuring import configured
from services.chassis.garbage import collect_seldom
from services.chassis.leaving import Departure
from services.chassis.logging import configure_logging, get_logger
from services.chassis.memory_broker import memory_broker
from services.chassis.metrics import serve_metrics
from services.chassis.migrations import check_schema, migrate
from services.chassis.rpc import RpcClient
from services.chassis.service import Service
from services.chassis.settings import MEMORY_SCHEME, BusSettings, is_memory
from services.chassis.tracing import configure_tracing

DRAIN_SECONDS = 20.0
HEALTH_SECONDS = 3.0
BROKER_PATIENCE_SECONDS = 60.0

EXIT_DIED = 1

_log = get_logger(__name__)


class Platform:
    """Running services, and the client that calls them."""

    def __init__(self, assembly: Assembly, service_classes: Sequence[type[Service]]) -> None:
        self.assembly = assembly
        self.rpc = assembly.rpc
        self._runner = ServiceRunner(assembly.nameko_config())
        for service_class in service_classes:
            self._runner.add_service(service_class)

    def start(self) -> None:
        """Start every service; when this returns, all of them listen."""
        if self.assembly.bus.is_memory:
            memory_broker(self.assembly.bus.amqp_uri).lengthen_waits()
        self._runner.start()
        self.assembly.everyone_listens.set()

    def wait(self) -> None:
        """Wait until the services have stopped. Raises what killed one of them."""
        self._runner.wait()

    def drain(self) -> None:
        """Take nothing new, finish what runs, close everything, however long that takes."""
        if self.assembly.bus.is_memory:
            memory_broker(self.assembly.bus.amqp_uri).shorten_waits()
        self._runner.stop()
        self.rpc.close()

    def stop(self, *, within: float = DRAIN_SECONDS) -> None:
        """Drain; kill what is left after `within` seconds."""
        with eventlet.Timeout(within, exception=False):
            self.drain()
            return
        _log.warning("drain_aborted", seconds=within)
        self._runner.kill()

    def still_open(self) -> list[str]:
        """Return what runs in each service: calls and handlers by method, and what runs all the time."""
        return [name for container in self._runner.containers for name in _running_in(container)]

    def wait_until(self, condition: Callable[[], Any], *, timeout: float) -> None:
        """Let the services run until `condition()` is true. Raises TimeoutError after `timeout` seconds."""
        deadline = monotonic() + timeout
        while not condition():
            if monotonic() > deadline:
                raise TimeoutError(f"not true within {timeout} s")
            eventlet.sleep(0.01)


@contextmanager
def running(
    *service_classes: type[Service],
    bus: BusSettings | None = None,
    databases: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Iterator[Platform]:
    """Run services in this process for as long as the block lasts, each on its database, migrated.

    By default on a bus of their own.
    """
    bus = bus or BusSettings(amqp_uri=f"{MEMORY_SCHEME}://{uuid.uuid4().hex}")
    assembly = Assembly(
        bus=bus, rpc=RpcClient(bus.amqp_uri), databases=databases or {}, clock=clock or SystemClock()
    )
    for service_class in service_classes:
        migrate(
            service_class.name,
            url=assembly.database_url(service_class.name),
            package=_package_of(service_class),
        )
    platform = Platform(assembly, service_classes)
    platform.start()
    try:
        yield platform
    finally:
        platform.stop()


def main(
    *service_classes: type[Service],
    background: Sequence[Callable[[], None]] = (),
    process: str | None = None,
) -> None:
    """Run the services until SIGTERM or SIGINT, then drain and exit 0.

    Exit 1 when one died, 75 when the drain took too long, 78 when the configuration is wrong. `process` names
    it in the settings, where it is not called as its first service.

    Each of `background` runs in a greenlet beside them, such as the embedded gateway; when one ends or
    raises, the process ends.
    """
    configure_logging()
    sys.exit(_run(service_classes, background, process or service_classes[0].name))


def _run(
    service_classes: Sequence[type[Service]], background: Sequence[Callable[[], None]], process: str
) -> int:
    with configured():
        configure_tracing()
        platform = _prepare(service_classes)
        serve_metrics(process, health=lambda: _health(platform, service_classes))
        departure = Departure(process, still_open=platform.still_open, threads=_unpatched("threading"))
    stopping = GreenFlag()
    departure.on_signals(lambda: eventlet.spawn(stopping.set))
    names = [service_class.name for service_class in service_classes]
    platform.start()
    collect_seldom()
    _log.info("services_started", services=names, bus=platform.assembly.bus.amqp_uri)
    died = _watch(platform, background, stopping)
    while not stopping.wait(3600.0):
        pass
    if died:
        departure.begin(code=EXIT_DIED)
    platform.drain()
    _log.info("services_stopped", services=names)
    return EXIT_DIED if died else 0


def _unpatched(module: str) -> ModuleType:
    """Return a module of the standard library as it was before greenlets."""
    found: ModuleType = eventlet.patcher.original(module)
    return found


def _running_in(container: Any) -> Iterator[str]:
    """Yield what runs in a Nameko container, which does not tell it publicly."""
    service, (workers, threads) = container.service_name, map(dict, _kept_by(container))
    called = Counter(context.entrypoint.method_name for context in workers)
    yield from (f"{count} {service}.{method}" for method, count in called.items())
    yield from (f"{service}: {name}" for name in sorted(set(threads.values())))


def _kept_by(container: Any) -> tuple[Mapping[Any, Any], Mapping[Any, str]]:
    return container._worker_threads, container._managed_threads  # noqa: SLF001 - Nameko is pinned


def _health(platform: Platform, service_classes: Sequence[type[Service]]) -> dict[str, Any]:
    """Return each service's own word, asked over the bus. Raises what keeps one from answering."""
    names = [service_class.name for service_class in service_classes]
    return {name: platform.rpc.call(name, "health", timeout=HEALTH_SECONDS) for name in names}


def _prepare(service_classes: Sequence[type[Service]]) -> Platform:
    bus = BusSettings()
    assembly = Assembly(bus=bus, rpc=RpcClient(bus.amqp_uri))
    for service_class in service_classes:
        check_schema(
            service_class.name,
            url=assembly.database_url(service_class.name),
            package=_package_of(service_class),
        )
    if not is_memory(bus.amqp_uri):
        wait_for_broker(bus.amqp_uri)
    return Platform(assembly, service_classes)


def _watch(platform: Platform, background: Sequence[Callable[[], None]], stopping: GreenFlag) -> list[str]:
    """Watch everything that should run for ever; return the list that will name those that ended."""
    ended: list[str] = []

    def watch(name: str, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as error:  # noqa: BLE001 - whatever it was, the process ends with it and says so
            _log.critical("died", what=name, exc_info=error)
        if not stopping.is_set():
            ended.append(name)
            stopping.set()

    for name, run in [("services", platform.wait), *((task.__name__, task) for task in background)]:
        eventlet.spawn(watch, name, run)
    return ended


@retry(
    retry=retry_if_exception_type((OperationalError, OSError)),
    stop=stop_after_delay(BROKER_PATIENCE_SECONDS),
    wait=wait_random_exponential(multiplier=0.2, max=5.0),
    before_sleep=lambda state: _log.info("broker_awaited", tries=state.attempt_number),
    reraise=True,
)
def wait_for_broker(amqp_uri: str) -> None:
    """Return once the broker answers.

    Raises OperationalError or OSError when it does not within BROKER_PATIENCE_SECONDS, and OperatorError
    where its certificate does not hold.
    """
    knock(amqp_uri)


def _package_of(service_class: type[Service]) -> str:
    return service_class.__module__.rpartition(".")[0]
