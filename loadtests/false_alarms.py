"""How often plausibility flags honest machines: ``python -m loadtests.false_alarms [TRACE.csv COLUMN]``.

Plays recorded traces and made-up honest machines, a day each, five of a kind with other chance, through the
rules at their default limits, and prints how many of each kind were flagged and with what.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import exp, sin
from pathlib import Path

from hireling.drivers.replay.trace import read_trace
from hireling.rental.reading import ClockQuality, Reading, ReadingEvent, Sample
from services.metering.plausibility import Role, Watch
from services.metering.settings import MeteringSettings

DAY = 86_400
OF_A_KIND = 5
BOOTS = tuple(bytes([number]) * 32 for number in range(1, 20))
SHIPPED = Path("services/agent/src/hireling/drivers/traces/small_computer.csv")


@dataclass(frozen=True)
class Step:
    """What a machine did since its last reading: seconds by its clock, growth of each counter, a new boot."""

    seconds: float
    grown: tuple[int, ...]
    boot: int = 0


@dataclass(frozen=True)
class Machine:
    """An honest machine: what its counters count, and how it lives with some chance."""

    roles: tuple[Role, ...]
    life: Callable[[random.Random], Iterator[Step]]


def readings_of(steps: Iterator[Step], counters: int) -> Iterator[Reading]:
    """Yield the readings that a machine with this life signs, without signatures: nobody looks at them."""
    totals, at_ms = [0] * counters, 5_000
    yield _reading(0, totals, at_ms, ReadingEvent.BEGIN, boot=0)
    for seq, step in enumerate(steps, start=1):
        totals = [total + grown for total, grown in zip(totals, step.grown, strict=True)]
        at_ms += round(step.seconds * 1000)
        yield _reading(seq, totals, at_ms, ReadingEvent.CONTINUE, boot=step.boot)


def _reading(seq: int, totals: Sequence[int], at_ms: int, event: ReadingEvent, *, boot: int) -> Reading:
    sample = Sample(
        previous=bytes(32),
        counters=tuple(totals),
        boot=BOOTS[boot],
        monotonic_ms=at_ms,
        wall_ms=1_770_000_000_000 + at_ms,
        clock=ClockQuality.SYNCHRONISED,
        event=event,
        flags=0,
    )
    return Reading(rental_id=bytes(32), seq=seq, amount_due=sum(totals), last=False, sample=sample)


def metered(watts: Iterator[float], *, every: float, resolution_mj: int = 1) -> Iterator[Step]:
    """Yield the steps of a meter that counts whole multiples of its resolution."""
    exact, counted = 0.0, 0
    for power in watts:
        exact += power * 1000 * every
        total = int(exact) // resolution_mj * resolution_mj
        yield Step(every, (total - counted,))
        counted = total


def _constant(watts: float, *, every: float = 10.0, resolution_mj: int = 1) -> Machine:
    def life(_: random.Random) -> Iterator[Step]:
        steady = (watts for _ in range(int(DAY / every)))
        return metered(steady, every=every, resolution_mj=resolution_mj)

    return Machine((Role.USE,), life)


def _charger(chance: random.Random) -> Iterator[Step]:
    constant = chance.randrange(2_000, 8_000)
    powers = [7_400 * min(1.0, at / 30) for at in range(60)]
    powers += [7_400.0] * constant
    powers += [7_400 * exp(-at / 900) for at in range(6_000)]
    powers += [3.0] * (DAY // 5 - len(powers))
    return metered(iter(powers), every=5)


def _fridge(chance: random.Random) -> Iterator[Step]:
    def watts() -> Iterator[float]:
        while True:
            for _ in range(chance.randrange(60, 120)):
                yield 90 + chance.gauss(0, 2)
            for _ in range(chance.randrange(120, 300)):
                yield 0.0

    return metered(islice(watts(), DAY // 10), every=10)


def _washer(chance: random.Random) -> Iterator[Step]:
    def watts() -> Iterator[float]:
        while True:
            for level, length in ((2_000, 600), (150, 1_200), (500, 400), (2, 4_000)):
                for _ in range(length):
                    yield level + (chance.gauss(0, level / 20) if level > 2 else 0)

    return metered((max(0.0, power) for power in islice(watts(), DAY)), every=1, resolution_mj=1_000)


def _noisy(chance: random.Random) -> Iterator[Step]:
    return metered((max(0.0, chance.gauss(400, 20)) for _ in range(DAY // 10)), every=10)


def _sensor(chance: random.Random) -> Iterator[Step]:
    watts = (2 + sin(at / 1_375) + chance.random() / 10 for at in range(DAY // 10))
    return metered(watts, every=10)


def _printer(chance: random.Random) -> Iterator[Step]:
    for at in range(DAY // 10):
        prints = at % 2_000 > 60
        heat = round(max(0.0, chance.gauss(120, 30)) * 10_000)
        yield Step(10, (heat, chance.randrange(2, 9) if prints else 0, 10_000))


def _host(chance: random.Random) -> Iterator[Step]:
    for _ in range(DAY // 10):
        passed = 500 + chance.randrange(-3, 30)
        yield Step(passed / 1000, (min(passed, round(passed * chance.uniform(0.95, 1.05))), passed))


def _workshop(chance: random.Random) -> Iterator[Step]:
    """Yield a laser that is rented by the hour and used now and then, with pauses of up to an hour."""
    while True:
        for _ in range(chance.randrange(1, 360)):
            yield Step(10, (0, 10_000))
        for _ in range(chance.randrange(1, 200)):
            yield Step(10, (round(chance.gauss(8_000, 500)) * 1_000, 10_000))


def _laptop(chance: random.Random) -> Iterator[Step]:
    boot = 0
    for at in range(DAY // 10):
        boot += at > 0 and at % 2_500 == 0
        pause = 200.0 if at % 2_500 == 0 else 10 + chance.random() / 50
        yield Step(pause, (round(chance.gauss(30_000, 4_000)),), boot=boot)


MACHINES = {
    "charger, 7.4 kW to the watt": _constant(7_400.0),
    "charger: ramp, constant, taper, standby": Machine((Role.USE,), _charger),
    "lamp, 60 W, meter of 1 Wh": _constant(60.0, resolution_mj=3_600_000),
    "lamp, 60 W, meter of 1 mJ, each second": _constant(60.0, every=1.0),
    "noisy load, 400 W": Machine((Role.USE,), _noisy),
    "fridge": Machine((Role.USE,), _fridge),
    "washing machine with standby, each second": Machine((Role.USE,), _washer),
    "sensor, day and night": Machine((Role.USE,), _sensor),
    "3D printer: energy, grams, time": Machine((Role.USE, Role.USE, Role.TIME), _printer),
    "computer: cpu_ms, wall_ms": Machine((Role.USE, Role.TIME), _host),
    "laser by the hour, idle up to an hour": Machine((Role.USE, Role.PAID_TIME), _workshop),
    "laptop, three reboots a day": Machine((Role.USE,), _laptop),
}


def flags_of(machine: Machine, chance: random.Random, *, most: int = DAY) -> Counter[str]:
    """Return what a machine's day was flagged with."""
    watch = Watch(machine.roles, MeteringSettings().limits)
    readings = list(islice(readings_of(machine.life(chance), len(machine.roles)), most))
    flags, windows, anchors = watch.take(readings)
    earlier = {anchor.hash: anchor.seq for anchor in reversed(anchors)}
    flags += watch.find_repeats(windows, earlier)
    return Counter(flag.code for flag in flags)


def trace_machine(path: Path, column: str) -> Machine:
    """Return a recorded machine."""
    rows = read_trace(path, column=column, interval=None)

    def life(_: random.Random) -> Iterator[Step]:
        exact, counted = 0, 0
        for row in rows:
            exact += int(row.energy_mj)
            yield Step(float(row.seconds), (exact - counted,))
            counted = exact

    return Machine((Role.USE,), life)


def main(arguments: Sequence[str]) -> int:
    """Print the table; return 1 where an honest machine was flagged."""
    machines = {**MACHINES, SHIPPED.name: trace_machine(SHIPPED, "power_W")}
    if arguments:
        path, column = arguments
        machines[Path(path).name] = trace_machine(Path(path), column)
    alarms = 0
    for name, machine in machines.items():
        found = [flags_of(machine, random.Random(seed)) for seed in range(OF_A_KIND)]
        flagged = sum(bool(each) for each in found)
        alarms += flagged
        said = dict(sum(found, Counter()))
        sys.stdout.write(f"{name:45} {flagged:3} of {OF_A_KIND} flagged {said or ''}\n")
    sys.stdout.write(f"{alarms} of {OF_A_KIND * len(machines)} honest days flagged\n")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
