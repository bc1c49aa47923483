"""Which driver, and what it needs: the one place that knows them all."""

from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

from hireling.clock import Clock
from hireling.drivers.driver import BadInput, Driver
from hireling.drivers.host.driver import DEFAULT_BLOCKS, HostDriver
from hireling.drivers.replay.driver import ReplayDriver
from hireling.drivers.replay.trace import DECIMAL

DriverName = Literal["host", "replay"]
OWN_TRACE = "small_computer.csv"


@dataclass(frozen=True)
class Choice:
    """What the owner chose; only the chosen driver's own settings count."""

    driver: DriverName
    title: str | None = None
    trace: Path | None = None
    column: str = "power_W"
    speed: int = 20
    interval: str | None = None
    blocks: int | None = None


def open_driver(choice: Choice, *, clock: Clock) -> Driver:
    """Return the chosen driver, ready to be asked for its facts. Raises BadInput."""
    if choice.driver == "host":
        return HostDriver(clock=clock, blocks=choice.blocks or DEFAULT_BLOCKS, title=choice.title)
    if choice.trace is not None:
        return _replay(choice, choice.trace, clock)
    with as_file(files("hireling.drivers") / "traces" / OWN_TRACE) as path:
        return _replay(choice, path, clock)


def _replay(choice: Choice, path: Path, clock: Clock) -> ReplayDriver:
    return ReplayDriver.open(
        path,
        column=choice.column,
        speed=choice.speed,
        interval=None if choice.interval is None else _seconds(choice.interval),
        clock=clock,
        title=choice.title,
    )


def _seconds(text: str) -> Fraction:
    if not DECIMAL.fullmatch(text) or Fraction(text) <= 0:
        raise BadInput(f"--interval {text}: give a number of seconds above 0")
    return Fraction(text)
