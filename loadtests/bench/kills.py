"""Nothing lost and nothing doubled, whatever is killed under load."""

import argparse
import contextlib
import subprocess
import time
from typing import Any

from loadtests.bench.fleet import Cut, Machine, signed_ahead
from loadtests.bench.rig import Rig, running, say
from tests import stack

DEVICES = 50
READINGS_PER_KILL = 40
RATE = 700
SECONDS_BETWEEN = 2.0
TARGETS = ("ingest", "mosquitto", "postgres")


def measure_kills(options: argparse.Namespace) -> dict[str, Any]:
    """Kill -9 ingest, broker and database in turn while readings come, and count."""
    kills: int = options.kills
    machines = [Machine.make(number) for number in range(DEVICES)]
    say(f"kills: each of {', '.join(TARGETS)} {kills} times")
    per_target = READINGS_PER_KILL * kills
    cut = Cut(signed_ahead(machines, per_target * len(TARGETS)))
    figures: dict[str, Any] = {"kills_each": kills}
    with running(machines) as rig:
        for target in TARGETS:
            with rig.generator(cut(per_target * DEVICES), rate=RATE) as generator:
                for _ in range(kills):
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        generator.wait(timeout=SECONDS_BETWEEN)
                    strike(rig, target)
                generator.communicate()
            for name, count in rig.books().items():
                figures[f"{name}_after_{target}"] = count
            say(f"  after {target}: {rig.books()}")
    return figures


def strike(rig: Rig, target: str) -> None:
    """Kill -9 a server, and start it again a moment later."""
    if target == "ingest":
        killed = rig.ingests.pop()
        killed.kill()
        killed.wait()
        rig.start_ingest()
        return
    stack.kill(target)
    time.sleep(0.2)
    stack.start(target)
