"""What the other side wants, learned from its offers.

A side asks first for what it likes best, and keeps longest what matters most. So a value counts by how often
and how early it was asked for, and an issue by how little its values change (the frequency model of
HardHeaded, van Krimpen, Look and Hindriks 2011, with earlier offers counting more). Before there is much to
count, the other side is taken to want the opposite of what we want.
"""

from collections.abc import Sequence

from hireling.bargaining.preferences import AdditiveUtility, Outcome
from hireling.bargaining.session import Estimate, SessionView

# How many offers our guess that its wishes oppose ours is worth, and how fast later offers count less.
GUESS_WORTH = 1.0
FADING = 0.97
CURVE = 0.3  # a value asked for a tenth as often as the favourite is worth half of it


def estimate_of(view: SessionView) -> Estimate | None:
    """Return what the other side seems to want, or None before its first offer."""
    theirs = view.theirs
    if not theirs:
        return None
    counts = [_counted(theirs, issue, worths) for issue, worths in enumerate(view.utility.worths)]
    steadiness = [_steadiness(count) for count in counts]
    total = sum(steadiness)
    utility = AdditiveUtility(
        weights=tuple(steady / total for steady in steadiness), worths=tuple(map(_worths, counts))
    )
    return Estimate(utility=utility, first_demand=utility.of(theirs[0]), last_demand=utility.of(theirs[-1]))


def _counted(theirs: Sequence[Outcome], issue: int, our_worths: Sequence[float]) -> list[float]:
    opposite = [1 - worth for worth in our_worths]
    scale = GUESS_WORTH / (sum(opposite) or 1)
    counts = [wish * scale for wish in opposite]
    weight = 1.0
    for offer in theirs:
        counts[offer[issue]] += weight
        weight *= FADING
    return counts


def _worths(counts: Sequence[float]) -> tuple[float, ...]:
    most = max(counts)
    return tuple(float((count / most) ** CURVE) for count in counts)


def _steadiness(counts: Sequence[float]) -> float:
    total = sum(counts)
    return sum((count / total) ** 2 for count in counts)
