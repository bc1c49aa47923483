"""Random objects of the protocol."""

from hypothesis import strategies as st

from hireling.rental.tariff import MOST_COMPONENTS, CounterSpec, Rate, Tariff

COUNTERS = ("energy_mJ", "time_ms", "pages")
AMOUNTS = st.integers(min_value=0, max_value=10**9)
PERS = st.integers(min_value=1, max_value=10) | st.integers(min_value=1, max_value=10**10)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Return any tariff over up to three counters, small and large numbers mixed."""
    names = COUNTERS[: draw(st.integers(min_value=1, max_value=len(COUNTERS)))]
    kinds_and_counters = st.tuples(st.sampled_from(("time", "use", "idle")), st.sampled_from(names))
    keys = draw(st.lists(kinds_and_counters, unique=True, max_size=MOST_COMPONENTS - 3))
    minimum = draw(st.just(0) | AMOUNTS)
    maximum = draw(st.none() | AMOUNTS.map(lambda room: minimum + room))
    return Tariff(
        currency="tUSD",
        counters=tuple(CounterSpec(name=name, unit="1", max_per_second=1_000) for name in names),
        flat=draw(st.just(0) | AMOUNTS),
        rates=tuple(
            Rate.model_validate({"kind": kind, "counter": name, "rate": draw(AMOUNTS), "per": draw(PERS)})
            for kind, name in keys
        ),
        minimum=minimum,
        maximum=maximum,
    )


@st.composite
def tariffs_with_counters(draw: st.DrawFn, *, steps: int = 1) -> tuple[Tariff, list[tuple[int, ...]]]:
    """Return a tariff and ``steps`` readings of its counters, none of which ever falls."""
    tariff = draw(tariffs())
    growth = st.tuples(*(st.integers(min_value=0, max_value=10**12) for _ in tariff.counters))
    readings: list[tuple[int, ...]] = []
    values: tuple[int, ...] = (0,) * len(tariff.counters)
    for _ in range(steps):
        values = tuple(value + more for value, more in zip(values, draw(growth), strict=True))
        readings.append(values)
    return tariff, readings
