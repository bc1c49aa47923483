"""Views of the price, built by hand and by chance."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from hireling.pricing.deciding import PriceView
from hireling.pricing.history import History, Hour
from hireling.pricing.rules import HOUR, PriceRules

NOW = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)  # a Wednesday
LISTED = 400_000
ZONES = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("America/Caracas"), ZoneInfo("Asia/Kolkata"))
RULES = PriceRules(listed=LISTED, floor=300_000, ceiling=700_000, step=20_000, least_between=HOUR)


def hours(
    number: int,
    *,
    price: int = LISTED,
    questions: int = 0,
    agreed: Sequence[int] = (),
    lost: Sequence[int] = (),
    busy_seconds: int = 0,
    until: datetime = NOW,
) -> tuple[Hour, ...]:
    """Return so many hours before a moment, all of them alike."""
    return tuple(
        Hour(
            at=until - (number - place) * HOUR,
            price=price,
            idle_seconds=3600 - busy_seconds,
            busy_seconds=busy_seconds,
            questions=questions,
            agreed=tuple(agreed),
            lost=tuple(lost),
        )
        for place in range(number)
    )


@st.composite
def rules(draw: st.DrawFn) -> PriceRules:
    """Return an owner's rules."""
    floor, listed, ceiling = sorted(draw(st.integers(1, 10**7)) for _ in range(3))
    return PriceRules(
        listed=listed,
        floor=floor,
        ceiling=ceiling,
        step=draw(st.integers(1, 10**6)),
        least_between=timedelta(minutes=draw(st.integers(1, 600))),
        preferred=draw(st.frozensets(st.integers(0, 167), max_size=20)),
        zone=draw(st.sampled_from(ZONES)),
        usual_span=timedelta(minutes=draw(st.integers(1, 600))),
    )


@st.composite
def views(draw: st.DrawFn) -> PriceView:
    """Return a view with some history, that of a flooded or forgotten machine included."""
    found = draw(rules())
    prices = st.integers(found.floor, found.ceiling)
    number = draw(st.integers(0, 12))
    rows = [
        Hour(
            at=NOW - (number - place) * HOUR,
            price=draw(prices),
            idle_seconds=draw(st.integers(0, 3600)),
            busy_seconds=draw(st.integers(0, 3600)),
            questions=draw(st.integers(0, 200)),
            agreed=tuple(draw(st.lists(prices, max_size=3))),
            lost=tuple(draw(st.lists(st.integers(0, 10**7), max_size=3))),
        )
        for place in range(number)
    ]
    return PriceView(
        rules=found,
        now=NOW + timedelta(minutes=draw(st.integers(0, 3000))),
        price=draw(prices),
        history=History(tuple(rows)),
        moved_at=draw(
            st.none() | st.integers(-1000, 4000).map(lambda minutes: NOW + timedelta(minutes=minutes))
        ),
        at_the_table=draw(st.booleans()),
    )
