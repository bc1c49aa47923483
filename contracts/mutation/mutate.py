"""Change the escrow's sources one place at a time, and tell how many of the changes its tests notice.

The last line printed is the share that was killed; below 90 % is an error. build/mutation/ gets the report and the survivors.
"""

import argparse
import json
import queue
import random
import sys
import threading
from pathlib import Path

import equivalents
import report
from bench import BaselineFailed, Bench, Original
from mutants import mutants_of
from selection import SOURCES
from syntax import Mutant, Source
from workshop import Workshop

FOLDER = Path(__file__).resolve().parents[2] / "build/mutation"
Place = tuple[Source, Mutant]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="mutate.sh", description=__doc__)
    parser.add_argument("--sample", default="60", help="how many mutants to try, or `all`")
    parser.add_argument("--seed", type=int, default=1, help="which ones: the same seed draws the same sample")
    parser.add_argument("--workers", type=int, default=2, help="how many are tried at the same time")
    parser.add_argument("--only", default="", help="only in sources of which the path has this in it")
    parser.add_argument("--no-walks", action="store_true", help="leave the long walks out: more may survive")
    parser.add_argument(
        "--again", action="store_true", help="try the last run's survivors instead of a sample"
    )
    options = parser.parse_args(arguments)

    reviewed = equivalents.reviewed(equivalents.LIST.read_text())
    shops = [Workshop(FOLDER / f"workshop-{number}") for number in range(options.workers)]
    try:
        every = [
            (source, mutant)
            for source in shops[0].compiler.sources(*SOURCES)
            for mutant in mutants_of(source)
        ]
        stale = [each for each in reviewed if not any(each.is_of(*place) for place in every)]
        for each in stale:
            print(f"equivalents.toml: no mutant of {each.file} is {each.after!r}", file=sys.stderr)
        within = [place for place in every if options.only in place[1].path]
        places = left_alive(within) if options.again else drawn(within, options.sample, options.seed)
        print(f"{len(places)} of {len(every)} mutants", file=sys.stderr)
        tried = try_all(places, shops, reviewed, walks=not options.no_walks)
    except BaselineFailed as error:
        print(f"mutate: {error}", file=sys.stderr)
        return 2
    finally:
        for shop in shops:
            shop.__exit__(None, None, None)
    said = report.text(tried, "survivors" if options.again else options.sample, options.seed)
    report.write(tried, FOLDER, said)
    print(said)
    return 0 if report.is_enough(tried) and not stale else 1


def left_alive(places: list[Place]) -> list[Place]:
    """Return those that survived the last run, by their text: the sources may have changed since."""
    alive = json.loads((FOLDER / report.SURVIVORS).read_text())
    return [place for place in places if report.described(*place) in alive]


def drawn(places: list[Place], sample: str, seed: int) -> list[Place]:
    if sample == "all":
        return places
    return random.Random(seed).sample(places, min(int(sample), len(places)))


def try_all(
    places: list[Place], shops: list[Workshop], reviewed: list[equivalents.Equivalent], *, walks: bool
) -> list[report.Tried]:
    original = Original(shops[0])
    waiting: queue.SimpleQueue[Place] = queue.SimpleQueue()
    for place in places:
        waiting.put(place)
    tried: list[report.Tried] = []
    problems: list[BaseException] = []

    def work(shop: Workshop) -> None:
        bench = Bench(shop, original, reviewed, walks=walks)
        try:
            while not problems:
                found = bench.try_out(*waiting.get_nowait())
                tried.append(found)
                print(
                    f"{len(tried)}/{len(places)} {found.place} {found.outcome} {found.by}",
                    file=sys.stderr,
                    flush=True,
                )
        except queue.Empty:
            return
        except BaseException as problem:  # raised again by the thread that waits
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(shop,)) for shop in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return sorted(tried, key=lambda each: (each.mutant.path, each.mutant.start))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
