"""What was reached, as a table for readers, as lcov for tools, and as what is wrong with it."""

from collections import defaultdict
from dataclasses import dataclass

from points import Kind, Point
from recording import Reached

PERCENT_NEEDED = 98


@dataclass(frozen=True)
class Share:
    hit: int
    total: int

    @property
    def is_enough(self) -> bool:
        return self.hit * 100 >= self.total * PERCENT_NEEDED

    def __str__(self) -> str:
        # Rounded down, so that what is not enough never looks as if it were.
        percent = f"{self.hit * 1000 // self.total / 10:.1f}" if self.total else "-"
        return f"{self.hit:>5} of {self.total:<5} {percent:>5} %"


class Coverage:
    """Points beside how often each was reached, of one source or of many.

    A line counts where a statement or a function begins on it, and is hit if one of these was reached.
    """

    def __init__(self, points: list[Point], reached: Reached) -> None:
        self.points = points
        self._reached = reached

    def times(self, point: Point) -> int:
        return self._reached.times(point.group, point.bit)

    def of_each_source(self) -> dict[str, "Coverage"]:
        by_path: dict[str, list[Point]] = defaultdict(list)
        for point in self.points:
            by_path[point.path].append(point)
        return {path: Coverage(points, self._reached) for path, points in sorted(by_path.items())}

    def of_kind(self, kind: Kind) -> list[Point]:
        return [point for point in self.points if point.kind is kind]

    @property
    def lines(self) -> dict[tuple[str, int], int]:
        times: dict[tuple[str, int], int] = defaultdict(int)
        for point in self.points:
            if point.kind is not Kind.BRANCH:
                place = (point.path, point.line)
                times[place] = max(times[place], self.times(point))
        return dict(sorted(times.items()))

    @property
    def line_share(self) -> Share:
        times = self.lines.values()
        return Share(hit=sum(map(bool, times)), total=len(times))

    @property
    def branch_share(self) -> Share:
        times = [self.times(point) for point in self.of_kind(Kind.BRANCH)]
        return Share(hit=sum(map(bool, times)), total=len(times))

    @property
    def refusals(self) -> list[Point]:
        """The places that revert by a statement of the source."""
        return [point for point in self.points if point.refuses]

    @property
    def refusal_share(self) -> Share:
        return Share(hit=len(self.refusals) - len(self.missed_refusals), total=len(self.refusals))

    @property
    def missed(self) -> list[str]:
        """Each line and branch that was not reached, as file:line and what stands there."""
        lines = [f"{path}:{line}: never reached" for (path, line), times in self.lines.items() if not times]
        branches = [
            f"{point.place}: never was `{point.label}`"
            for point in self.of_kind(Kind.BRANCH)
            if not self.times(point)
        ]
        return lines + branches

    @property
    def missed_refusals(self) -> list[str]:
        return [
            f"{point.place}: nothing was refused by `{point.label}`"
            for point in self.refusals
            if not self.times(point)
        ]


def table(coverage: Coverage) -> str:
    sources = coverage.of_each_source()
    width = max(map(len, sources), default=0)
    head = f"{'source':<{width}}  {'lines':<22}  branches"
    rows = [
        f"{name:<{width}}  {each.line_share}  {each.branch_share}"
        for name, each in [*sources.items(), ("all", coverage)]
    ]
    return "\n".join([head, *rows, *coverage.missed, *coverage.missed_refusals])


def problems(coverage: Coverage) -> list[str]:
    """Return why this is not enough, or nothing."""
    shares = {"lines": coverage.line_share, "branches": coverage.branch_share}
    found = [
        f"{share.hit} of {share.total} {name} were reached: at least {PERCENT_NEEDED} % must be"
        for name, share in shares.items()
        if not share.is_enough
    ]
    if not coverage.of_kind(Kind.STATEMENT):
        found.append("nothing was found that could be reached")
    return found + coverage.missed_refusals


def lcov(coverage: Coverage, folder: str) -> str:
    """Return the records of geninfo(1), with the sources' paths below a folder."""
    return "".join(_record(path, each, folder) for path, each in coverage.of_each_source().items())


def _record(path: str, coverage: Coverage, folder: str) -> str:
    functions = coverage.of_kind(Kind.FUNCTION)
    branches = coverage.of_kind(Kind.BRANCH)
    lines = coverage.lines
    line_share, branch_share = coverage.line_share, coverage.branch_share
    outcomes: dict[int, int] = defaultdict(int)
    text = ["TN:", f"SF:{folder}/{path}"]
    text += [f"FN:{point.line},{point.label}" for point in functions]
    text += [f"FNDA:{coverage.times(point)},{point.label}" for point in functions]
    text += [f"FNF:{len(functions)}", f"FNH:{sum(coverage.times(point) > 0 for point in functions)}"]
    text += [f"DA:{line},{times}" for (_, line), times in lines.items()]
    text += [f"LF:{line_share.total}", f"LH:{line_share.hit}"]
    for point in branches:
        text.append(
            f"BRDA:{point.line},{point.decision},{outcomes[point.decision]},{coverage.times(point) or '-'}"
        )
        outcomes[point.decision] += 1
    text += [f"BRF:{branch_share.total}", f"BRH:{branch_share.hit}", "end_of_record"]
    return "\n".join(text) + "\n"
