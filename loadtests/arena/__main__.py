"""`make arena`: our default, and Boulware, against the panel; the last line is one JSON object."""

import argparse
import json
import multiprocessing
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from statistics import fmean

from hireling.bargaining.round_aware import RoundAware
from loadtests.arena.games import Player, Result, Score, play, score
from loadtests.arena.panel import BASELINE, PANEL
from loadtests.arena.scenarios import (
    HOPELESS_SEEDS,
    REPORT_SEEDS,
    TUNING_SEEDS,
    Scenario,
    with_zone,
    without_zone,
)

DEADLINES = (20, 100)  # moves of each side
PROCESSES = 2
Round = tuple[int, int, int]  # seed, place in the panel, role


def main() -> None:
    """Play and print the table. Exits with 1 if a deal was below the reservation value."""
    options = _options()
    seeds = _seeds(options)
    hopeless_seeds = (
        HOPELESS_SEEDS if options.seed is None else range(options.seed, options.seed + len(HOPELESS_SEEDS))
    )
    print(f"scenarios of seeds {seeds.start} to {seeds.stop - 1}, {len(PANEL)} opponents, both roles")
    figures: dict[str, float] = {}
    ours: list[Result] = []
    for steps in options.rounds:
        results = _played(RoundAware(), seeds, steps=steps)
        found = _told("hireling", steps, results, details=True)
        figures |= {
            f"adv{steps}": found.advantage,
            f"agree{steps}": found.agreement,
            f"sum{steps}": found.total,
        }
        ours += results
        if not options.no_baseline:
            base = _told("Boulware", steps, _played(BASELINE, seeds, steps=steps))
            figures |= {
                f"boulware_adv{steps}": base.advantage,
                f"boulware_agree{steps}": base.agreement,
                f"boulware_sum{steps}": base.total,
            }
        if not options.no_baseline:
            hopeless = _played(
                RoundAware(), hopeless_seeds[: options.scenarios], steps=steps, scenarios=without_zone
            )
            _told("hireling, no zone of agreement", steps, hopeless)
            ours += hopeless
    below = score(ours).below_reservation
    times = [second for result in ours for second in result.seconds]
    figures |= {"below_reservation": below, "ms_per_step": 1000 * fmean(times), "games": len(ours)}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
    sys.exit(1 if below else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make arena", description=__doc__)
    parser.add_argument("--tuning", action="store_true", help="play the seeds the strategy was tuned on")
    parser.add_argument("--seed", type=int, help="play scenarios that nobody saw before, from this seed on")
    parser.add_argument("--scenarios", type=int, default=len(REPORT_SEEDS), help="how many scenarios")
    parser.add_argument("--rounds", type=int, nargs="+", default=DEADLINES, help="moves of each side")
    parser.add_argument(
        "--no-baseline", action="store_true", help="our default alone, with a zone of agreement"
    )
    return parser.parse_args()


def _seeds(options: argparse.Namespace) -> range:
    if options.seed is not None:
        return range(options.seed, options.seed + options.scenarios)
    return (TUNING_SEEDS if options.tuning else REPORT_SEEDS)[: options.scenarios]


def _played(
    player: Player, seeds: Iterable[int], *, steps: int, scenarios: Callable[[int], Scenario] = with_zone
) -> list[Result]:
    rounds = list(product(seeds, range(len(PANEL)), (0, 1)))
    with multiprocessing.Pool(PROCESSES) as pool:
        return pool.map(partial(_one, player, scenarios, steps), rounds, chunksize=8)


def _one(player: Player, scenarios: Callable[[int], Scenario], steps: int, at: Round) -> Result:
    # NegMAS warns of its own internals.
    warnings.simplefilter("ignore")
    seed, place, role = at
    return play(player, PANEL[place], scenarios(seed), role=role, steps=steps)


def _told(name: str, steps: int, results: list[Result], *, details: bool = False) -> Score:
    found = score(results)
    _line(f"{name}, {steps} rounds", found)
    if details:
        by_opponent: dict[tuple[str, int], list[Result]] = defaultdict(list)
        for result in results:
            by_opponent[result.opponent, result.role].append(result)
        for (opponent, role), some in by_opponent.items():
            _line(f"  {('first', 'second')[role]} against {opponent}", score(some))
    sys.stdout.flush()
    return found


def _line(name: str, found: Score) -> None:
    print(
        f"{name:48} {found.games:5} games  advantage {found.advantage:.3f}"
        f"  agreement {found.agreement:.3f}  sum {found.total:.3f}"
    )


if __name__ == "__main__":
    main()
