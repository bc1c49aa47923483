"""A bargain as an SVG: what each offer was worth to both sides, and where the deal lies among all deals.

Drawn by hand, since it is a few lines and dots: no library is worth installing on every machine for it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product

from hireling.bargaining.preferences import AdditiveUtility, Outcome
from hireling.decision_log import Story

WIDTH, HEIGHT, EDGE = 920, 420, 50
CHART = 360
COLOURS = {"owner": "#b45309", "renter": "#1d4ed8"}
DEAL = "#15803d"
GREY = "#9ca3af"
Place = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """A square of axes at ``left``, both of them from 0 to ``across`` and to 1."""

    left: int
    across: float

    def at(self, x: float, y: float) -> Place:
        """Return where a point is drawn."""
        return self.left + x / self.across * CHART, EDGE + (1 - y) * (HEIGHT - 2 * EDGE)

    def frame(self, title: str, below: str, beside: str) -> Iterator[str]:
        """Return the axes and their names."""
        (x0, y0), (x1, y1) = self.at(0, 0), self.at(self.across, 1)
        yield f'<path d="M{x0:.1f} {y1:.1f}V{y0:.1f}H{x1:.1f}" fill="none" stroke="{GREY}"/>'
        yield text(x0, EDGE - 16, title, weight="bold")
        yield text(x1, y0 + 32, below, anchor="end")
        for level in (0, 0.5, 1):
            x, y = self.at(0, level)
            yield text(x - 6, y + 4, f"{level:g}", anchor="end")
        yield text(x0 + 6, y1 + 4, beside)


def picture(stories: Sequence[Story]) -> str:
    """Return the picture of a session from one side's record, or from both."""
    body = [*_rounds(stories), *(_space(stories) if len(stories) == 2 else _missing())]
    title = f"session {stories[0].wanted.session}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>' + "".join(body) + "</svg>\n"
    )


def better_for_both(stories: Sequence[Story], deal: Outcome) -> Outcome | None:
    """Return the deal that helps both most, of those better for one and no worse for the other."""
    first, second = (story.wanted.utility.utility for story in stories)
    had = first.of(deal), second.of(deal)
    better = [
        (min(ours - had[0], theirs - had[1]), ours + theirs, outcome)
        for ours, theirs, outcome in _all(first, second)
        if ours >= had[0] and theirs >= had[1] and ours + theirs > sum(had) + 1e-9
    ]
    return max(better)[2] if better else None


def frontier(stories: Sequence[Story]) -> list[Place]:
    """Return the utilities of the deals that no other is better than for both, by the first side's."""
    first, second = (story.wanted.utility.utility for story in stories)
    best: list[Place] = []
    for ours, theirs, _ in sorted(_all(first, second), reverse=True):
        if not best or theirs > best[-1][1] + 1e-9:
            best.append((ours, theirs))
    return best[::-1]


def _all(first: AdditiveUtility, second: AdditiveUtility) -> Iterator[tuple[float, float, Outcome]]:
    """Return what every outcome that both would take is worth to them."""
    kept = [sorted(set(a) & set(b)) for a, b in zip(first.allowed, second.allowed, strict=True)]
    for outcome in product(*kept):
        yield first.of(outcome), second.of(outcome), outcome


def _rounds(stories: Sequence[Story]) -> Iterator[str]:
    offers = _offers(stories)
    chart = Chart(left=EDGE, across=max(1, len(offers) - 1))
    yield from chart.frame("what each offer was worth", "round", "utility")
    for number in range(len(offers)):
        x, y = chart.at(number, 0)
        if number % max(1, len(offers) // 10) == 0:
            yield text(x, y + 16, str(number), anchor="middle")
    for place, story in enumerate(stories):
        side, colour = story.wanted.side, COLOURS[story.wanted.side]
        worth = _worth(story)
        points = [chart.at(number, worth(offer)) for number, offer in enumerate(offers)]
        yield _line(points, colour)
        for number, point in enumerate(points):
            own = (number % 2 == 0) == (side == "owner")
            yield _dot(point, colour, filled=own)
        yield text(EDGE + 200, EDGE - 16 + 14 * place, f"to the {side} (● its own offers)", fill=colour)
    deal = next((story.deal for story in stories if story.deal is not None), None)
    if deal is not None and offers:
        x, _ = chart.at(len(offers) - 1, 0)
        yield f'<path d="M{x:.1f} {EDGE}V{HEIGHT - EDGE}" stroke="{DEAL}" stroke-dasharray="4 4"/>'
        yield text(x - 4, EDGE + 12, "deal", anchor="end", fill=DEAL)


def _space(stories: Sequence[Story]) -> Iterator[str]:
    first, second = stories
    chart = Chart(left=WIDTH - EDGE - CHART, across=1)
    yield from chart.frame(
        "among all deals", f"utility to the {first.wanted.side}", f"to the {second.wanted.side}"
    )
    yield _line([chart.at(*place) for place in frontier(stories)], GREY)
    yield text(*chart.at(0.62, 1.02), "— none better for both", fill=GREY)
    ours, theirs = _worth(first), _worth(second)
    for number, offer in enumerate(_offers(stories)):
        side = "owner" if number % 2 == 0 else "renter"
        yield _dot(chart.at(ours(offer), theirs(offer)), COLOURS[side], filled=True)
    deal = next((story.deal for story in stories if story.deal is not None), None)
    if deal is not None:
        x, y = chart.at(ours(deal), theirs(deal))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="none" stroke="{DEAL}" stroke-width="2"/>'
        yield text(x + 12, y + 4, "deal", fill=DEAL)


def _offers(stories: Sequence[Story]) -> tuple[Outcome, ...]:
    """Return the offers of the side that knew of more of them."""
    known: list[tuple[Outcome, ...]] = [story.offers for story in stories]
    return max(known, key=len)


def _missing() -> Iterator[str]:
    left = WIDTH - EDGE - CHART
    yield text(left, HEIGHT / 2, "With the other side's record too (--also HOME),", fill=GREY)
    yield text(left, HEIGHT / 2 + 16, "all deals and the best of them are shown here.", fill=GREY)


def _worth(story: Story) -> Callable[[Outcome], float]:
    utility = story.wanted.utility.utility
    # What nothing makes up for is drawn as worth nothing.
    return lambda outcome: max(0.0, utility.of(outcome))


def _line(points: Sequence[Place], colour: str) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>' if points else ""


def _dot(at: Place, colour: str, *, filled: bool) -> str:
    fill = colour if filled else "#ffffff"
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="4" fill="{fill}" stroke="{colour}"/>'


def text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = "#111827", weight: str = "normal"
) -> str:
    """Return words in the picture."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
