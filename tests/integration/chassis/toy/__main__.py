"""Runs the toy as a process of its own.

It raises a counter TOY_RAISES times at once, since nobody outside can call an in-process bus; the first
TOY_FAILURES handlings of its events fail. With TOY_STICKS it makes that file, and no greenlet runs any more.
"""

import services.chassis.green  # noqa: F401 - first: it patches the standard library  # isort: skip

import os
from pathlib import Path
from typing import Any

import eventlet

from services.chassis.rpc import RpcClient
from services.chassis.runner import main
from services.chassis.settings import BusSettings
from tests.integration.chassis.toy.service import FAILURES_LEFT, Neighbour, Toy


def raise_counters() -> None:
    """Raise TOY_RAISES counters one after the other, then rest."""
    FAILURES_LEFT["driven"] = int(os.environ.get("TOY_FAILURES", "0"))
    client = RpcClient(BusSettings().amqp_uri)
    for _ in range(int(os.environ.get("TOY_RAISES", "0"))):
        client.call("toy", "raise_counter", {"name": "driven"}, timeout=10.0)
    eventlet.Event().wait()


def fall() -> None:
    """Raise, so that the process ends."""
    raise ZeroDivisionError("a background task fell")


def stick() -> None:
    """Turn for ever without a pause."""
    Path(os.environ["TOY_STICKS"]).touch()
    while True:
        pass


BACKGROUND = {"TOY_FALLS": fall, "TOY_STICKS": stick}

if __name__ == "__main__":
    chosen: list[Any] = [task for name, task in BACKGROUND.items() if name in os.environ]
    main(Toy, Neighbour, background=chosen or [raise_counters])
