"""The stack in containers of its own, on free ports and fresh volumes, for the life of one command.

    python infra/compose.py run -- COMMAND ...   build and start it, run COMMAND, take it down, volumes too

It needs a running Docker engine with the Compose plugin, and fails without one. COMMAND finds
COMPOSE_PROJECT_NAME, COMPOSE_FILE and the ports as `docker compose` reads them, so that it may ask and
change the stack by that. What the containers said stays in build/test/compose/. The stack is taken down also
after a failure and after Ctrl-C; what outlives a kill -9 goes with
`docker compose --project-name NAME down --volumes` (the name stands in its first line).
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

PROJECT = Path(__file__).resolve().parents[1]
DOCKER = shutil.which("docker") or "docker"
OVERLAYS = ("docker-compose.tls.yml", "docker-compose.bus-tls.yml")
LOGS = PROJECT / "build" / "test" / "compose"
ASK_SECONDS = 30.0
BUILD_SECONDS = 1800.0
START_SECONDS = 600  # fourteen processes on two cores that others may share
DOWN_SECONDS = 180.0
END_SECONDS = 60.0
PORTS = range(10_000, 20_000)  # below those of outgoing connections
# Two copies of the gateway each take a port of a range.
GATEWAYS = 2


class NoStack(Exception):
    """There is no engine, or it did not bring the stack up; the message says which."""


def require_engine() -> None:
    """Raise NoStack, with the mend, where no Docker engine with Compose answers."""
    if shutil.which("docker") is None:
        raise NoStack("docker is not installed; this needs a Docker engine with the Compose plugin")
    for command in ([DOCKER, "version"], [DOCKER, "compose", "version"]):
        asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ASK_SECONDS)
        if asked.returncode != 0:
            said = (asked.stderr or asked.stdout).strip().splitlines()
            raise NoStack(f"`{' '.join(command)}` fails: {said[-1] if said else asked.returncode}")


def consecutive_ports(count: int) -> int:
    """Return the first of so many ports of the loopback, one after the other, that nothing listens on now."""
    chance = secrets.SystemRandom()
    for first in chance.sample(PORTS, k=len(PORTS)):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise NoStack(f"no {count} free ports in a row from {PORTS[0]} to {PORTS[-1]}")


def variables() -> dict[str, str]:
    """Return what `docker compose` must be told, for a stack that meets no other one."""
    first = consecutive_ports(GATEWAYS + 3)
    mqtt, mqtts, chain = range(first + GATEWAYS, first + GATEWAYS + 3)
    return {
        "COMPOSE_PROJECT_NAME": f"hireling-test-{secrets.token_hex(4)}",
        "COMPOSE_FILE": str(PROJECT / "docker-compose.yml"),
        "COMPOSE_PROFILES": "",
        "GATEWAY_PORT": f"{first}-{first + GATEWAYS - 1}",
        "MQTT_PORT": str(mqtt),
        "MQTTS_PORT": str(mqtts),
        "CHAIN_PORT": str(chain),
    }


def compose(environment: Mapping[str, str], *arguments: str, seconds: float) -> None:
    """Run `docker compose`. Raises NoStack where it fails or takes longer."""
    # In a session of its own: Ctrl-C is ours to hear, and must not end the taking down.
    with subprocess.Popen(
        [DOCKER, "compose", *arguments], env=environment, start_new_session=True
    ) as process:
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise NoStack(f"docker compose {arguments[0]} took more than {seconds:.0f} s") from error
        finally:
            end(process)
    if status != 0:
        raise NoStack(f"docker compose {' '.join(arguments)} ended with {status}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Have a process in a session of its own stop as by Ctrl-C, and kill what does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(environment: Mapping[str, str]) -> Iterator[None]:
    """Build the stack and bring it up for the length of the block."""
    print(f"compose: project {environment['COMPOSE_PROJECT_NAME']}", flush=True)
    try:
        began = time.monotonic()
        compose(environment, "build", "--quiet", seconds=BUILD_SECONDS)
        built = time.monotonic()
        wait = ("--wait", "--wait-timeout", str(START_SECONDS))
        # Without the bars of a terminal: what is worth reading is who failed.
        compose(environment, "--progress=quiet", "up", "--detach", *wait, seconds=START_SECONDS + 60)
        print(f"compose: built in {built - began:.0f} s, up in {time.monotonic() - built:.0f} s", flush=True)
        yield
    finally:
        take_down(environment)


def take_down(environment: Mapping[str, str]) -> None:
    """Keep what the containers said; remove them, their networks and volumes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C would leave the half of it
    # What came by another file or profile in the meantime goes too.
    files = os.pathsep.join([environment["COMPOSE_FILE"], *(str(PROJECT / name) for name in OVERLAYS)])
    environment = {**environment, "COMPOSE_FILE": files, "COMPOSE_PROFILES": "*"}
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / "containers.log").open("wb") as log:
        subprocess.run(
            [DOCKER, "compose", "logs", "--no-color", "--timestamps"],
            env=environment,
            check=False,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=DOWN_SECONDS,
        )
    # What was run by hand of a service that is in a profile stays, unless the profile is named.
    compose(
        {**environment, "COMPOSE_PROFILES": "*"},
        "--progress=quiet",
        "down",
        "--volumes",
        "--remove-orphans",
        "--timeout",
        "10",
        seconds=DOWN_SECONDS,
    )
    print("compose: taken down, volumes and all", flush=True)


def run(command: list[str]) -> int:
    """Run the command on a fresh stack; return its exit status."""
    require_engine()
    environment = {**os.environ, **variables()}  # noqa: TID251 (handed on, not read)
    with (
        running(environment),
        subprocess.Popen(command, env=environment, start_new_session=True) as process,
    ):
        try:
            return process.wait()
        finally:
            end(process)


def stop_on_sigterm(_signal: int, _frame: FrameType | None) -> None:
    """Leave by the same way as Ctrl-C, so that the stack is taken down."""
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    signal.signal(signal.SIGTERM, stop_on_sigterm)
    match arguments:
        case ["run", "--", *command] if command:
            try:
                return run(command)
            except NoStack as error:
                print(f"compose: {error}", file=sys.stderr)
                return 1
            except KeyboardInterrupt:
                return 130
        case ["--help"]:
            print(__doc__)
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
