"""What the platform's image weighs and holds, and how soon each service answers after its start."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from tests.compose.containers import HEALTH_PORT, PROJECT, SCALED, Containers

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1200)]

IMAGE = "hireling-platform"
LARGEST_BYTES = 220_000_000
# From a service's start to its first answer, on a machine that does nothing else.
START_SECONDS = 5.0
IDLE = 1.2
# Nothing that a service needs to run: compilers, installers, tests, what the contracts are made from.
UNNEEDED = [
    "*/bin/gcc*",
    "*/bin/cc",
    "/opt/hireling/bin/pip*",
    "/root/.cache/*",
    "/app/contracts",
    "/app/tests",
    "*.sol",
]
# Says when each of these hosts answered first after having been away, as seconds of the epoch.
PROBE = """
import sys, time
from urllib.request import urlopen
def answers(host):
    try:
        return urlopen(f"http://{host}:PORT/health", timeout=1).status == 200
    except OSError:
        return False
for host in sys.argv[1:]:
    while not answers(host):
        time.sleep(0.02)
    print("there", flush=True)
    while answers(host):
        time.sleep(0.02)
    while not answers(host):
        time.sleep(0.02)
    print(time.time(), flush=True)
"""
WORK_SECONDS = 0.3
SPIN = f"""
import time
began = time.time()
while time.process_time() < {WORK_SECONDS}:
    pass
print(time.time() - began)
"""


def base_of_platform() -> str:
    """Return the image that the platform's last stage starts from."""
    text = (PROJECT / "infra/containers/platform.Dockerfile").read_text()
    default = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE))
    last = re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE)[-1]
    return re.sub(r"\$\{(\w+)\}", lambda found: default[found[1]], last)


def slowness() -> float:
    """Return how many times as long a second of work takes here, for what else this machine does."""
    spinners = [
        subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE, text=True)
        for _ in range(os.cpu_count() or 1)
    ]
    return max(float(spinner.communicate(timeout=120)[0]) / WORK_SECONDS for spinner in spinners)


def test_our_layers_are_small(containers: Containers, say: Callable[[str], None]) -> None:
    ours = containers.layers(IMAGE)[: -len(containers.layers(base_of_platform()))]
    say(f"{sum(ours):,} bytes in {len(ours)} steps over {base_of_platform()}")
    assert 0 < sum(ours) <= LARGEST_BYTES


def test_the_image_holds_what_it_needs_alone(containers: Containers) -> None:
    names = " -o ".join(f"-path '{pattern}'" for pattern in UNNEEDED)
    entry = ("--user", "root", "--entrypoint", "sh", "operator", "-c", f"find / -xdev {names} || true")
    assert containers("run", "--rm", "--no-TTY", *entry).split() == []


class Starts:
    """A container beside the services that sees when they answer."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def seconds(self, containers: Containers, name: str) -> float:
        """Restart a container; return how long after its start it answered."""
        assert next(self._lines).strip() == "there"
        containers.restart(name)
        answered = datetime.fromtimestamp(float(next(self._lines)), UTC)
        return (answered - containers.started_at(name)).total_seconds()


@contextmanager
def watching(containers: Containers, names: list[str]) -> Iterator[Starts]:
    """Watch these containers, in this order."""
    probe = PROBE.replace("PORT", str(HEALTH_PORT))
    entry = ("--entrypoint", "python", "operator", "-u", "-c", probe, *names)
    command = ["docker", "compose", "run", "--rm", "--no-TTY", *entry]
    with subprocess.Popen(
        command, env=containers.environment(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Starts(iter(process.stdout.readline, ""))
        finally:
            process.terminate()


def test_each_service_answers_soon_after_its_start(
    containers: Containers, say: Callable[[str], None]
) -> None:
    names = [containers.names(service)[0] for service in SCALED]
    late = {}
    with watching(containers, names) as starts:
        for service, name in zip(SCALED, names, strict=True):
            slow = slowness()
            seconds = starts.seconds(containers, name)
            say(f"{service} answered {seconds:.2f} s after its start; work takes {slow:.1f} times its time")
            # What else a machine does comes and goes while we look: half as much again is no finding.
            if seconds > START_SECONDS * (1.0 if slow < IDLE else slow * 1.5):
                late[service] = seconds
    assert late == {}
