"""What may be bargained about: the issues of a listing and the values that each of them takes."""

from math import prod
from typing import Annotated, Self

from pydantic import Field, model_validator

from hireling.rental.typed_data import Document, Uint32

USUAL_ROUNDS = 8
MOST_ROUNDS = 100
# Both agents weigh every combination once per session; on a small computer as many take half a second.
MOST_COMBINATIONS = 20_000
Percent = Annotated[int, Field(ge=1, le=100, strict=True)]
Percents = Annotated[tuple[Percent, ...], Field(min_length=1, max_length=100)]
Seconds = Annotated[tuple[Uint32, ...], Field(min_length=1, max_length=100)]
AS_LISTED: Percents = (100,)


class Agenda(Document):
    """The issues between an owner's agent and a renter's, and how many rounds they have.

    ``price`` and ``deposit`` are in percent of the listed ones, ``duration`` in percent of the seconds asked
    for, ``cap`` in percent of what the offer's tariff and seconds cost at worst, ``start`` in seconds after
    the start asked for. Each begins with what was listed or asked for, which is where bargaining begins. How
    far either side would go is nobody's business: the values say nothing of it.
    """

    rounds: int = Field(default=USUAL_ROUNDS, ge=1, le=MOST_ROUNDS, strict=True)
    price: Percents = tuple(range(100, 49, -1))
    duration: Percents = AS_LISTED
    start: Seconds = (0,)
    deposit: Percents = AS_LISTED
    cap: Percents = AS_LISTED

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, values in self.issues.items():
            if len(set(values)) != len(values):
                raise ValueError(f"{name} has a value twice")
            if values[0] != (0 if name == "start" else 100):
                raise ValueError(f"{name} begins with {values[0]}, not with what was listed or asked for")
        if self.combinations > MOST_COMBINATIONS:
            raise ValueError(f"{self.combinations} combinations, at most {MOST_COMBINATIONS}")
        return self

    @property
    def issues(self) -> dict[str, tuple[int, ...]]:
        """Return the values of each issue, in the order in which an outcome names them."""
        return {
            "price": self.price,
            "duration": self.duration,
            "start": self.start,
            "deposit": self.deposit,
            "cap": self.cap,
        }

    @property
    def combinations(self) -> int:
        """Return how many outcomes there are."""
        return prod(len(values) for values in self.issues.values())
