"""The processes that metering's tests start and kill, and the stack's servers they use."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hireling.rental.broker_users import INGEST
from tests.integration.metering.lines import PASSWORD, named

START_SECONDS = 120.0


def answers(port: int) -> bool:
    """Return whether something accepts connections on this local port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, seconds: float = START_SECONDS) -> None:
    """Wait until the condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {seconds} s")
        time.sleep(0.02)


@contextmanager
def running_broker(port: int, database_url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the embedded broker as a process for the length of a block, its door kept by this database."""
    environment = {
        "MQTT_PORT": str(port),
        "METERING_DATABASE_URL": database_url,
        "HIRELING_MQTT_URL": named(port, INGEST, PASSWORD),
    }
    with running_module("services.embedded.broker", **environment) as process:
        wait_until(lambda: answers(port))
        yield process


@contextmanager
def running_module(module: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module as a process for the length of a block; it is killed at the end if it still runs."""
    process = subprocess.Popen([sys.executable, "-m", module], env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)
