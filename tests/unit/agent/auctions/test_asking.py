"""What a machine asks in a reverse auction."""

import random
from statistics import fmean

import pytest

from hireling.auctions.asking import asked_amount

AMOUNTS = range(50, 101)


@pytest.mark.parametrize(
    ("limit", "rivals", "asked"),
    [(100, 0, 100), (100, 1, 75), (100, 4, 60), (70, 1, 60), (50, 3, 50), (49, 0, None), (500, 0, 100)],
)
def test_asks_between_its_least_and_the_limit(limit: int, rivals: int, asked: int | None) -> None:
    assert asked_amount(AMOUNTS, limit=limit, rivals=rivals) == asked


def test_rounds_up_to_what_may_be_asked() -> None:
    assert asked_amount([100, 50, 80], limit=100, rivals=1) == 80


@pytest.mark.parametrize("rivals", [1, 3])
@pytest.mark.parametrize("other", [0.4, 1.8])
def test_nobody_gains_by_asking_otherwise(rivals: int, other: float) -> None:
    """Against rivals that ask so, another share of what is left up to the limit earns less on average."""
    limit = 200

    def earned(share: float) -> float:
        chance, won = random.Random(7), []
        for _ in range(4_000):
            own, *least = (chance.randrange(limit) for _ in range(rivals + 1))
            against = min(
                asked_amount(range(each, limit + 1), limit=limit, rivals=rivals) or limit for each in least
            )
            asked = own + (limit - own) * share
            won.append(asked - own if asked < against else 0)
        return fmean(won)

    ours = 1 / (rivals + 1)
    assert earned(ours * other) < earned(ours)
