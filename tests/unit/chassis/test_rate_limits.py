"""How much one sender may send."""

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.rate_limits import RateLimits

NOISY, HONEST = "0x" + "aa" * 32, "0x" + "bb" * 32


def limits(**changes: float) -> RateLimits:
    """Return limits of ten a second, twenty at once."""
    settings = {"per_second": 10.0, "burst": 20, "tell_every_seconds": 5.0, **changes}
    return RateLimits(**settings)  # type: ignore[arg-type]


class TestRateLimits:
    def test_take_a_burst_and_then_the_rate(self) -> None:
        bucket = limits()
        assert [bucket.check(NOISY, worth=1, now=100.0) for _ in range(20)] == [None] * 20
        refused = bucket.check(NOISY, worth=1, now=100.0)
        assert refused is not None
        assert round(refused.wait_seconds, 3) == 0.1
        assert bucket.check(NOISY, worth=1, now=100.05) is not None
        assert bucket.check(NOISY, worth=1, now=100.1) is None

    def test_what_is_refused_costs_nothing(self) -> None:
        bucket = limits()
        bucket.check(NOISY, worth=20, now=0.0)
        for _ in range(1_000):
            assert bucket.check(NOISY, worth=1, now=0.0) is not None
        assert bucket.check(NOISY, worth=1, now=0.1) is None

    def test_the_wait_is_what_a_message_of_this_size_needs(self) -> None:
        bucket = limits()
        bucket.check(NOISY, worth=20, now=0.0)
        refused = bucket.check(NOISY, worth=6, now=0.0)
        assert refused is not None
        assert bucket.check(NOISY, worth=6, now=refused.wait_seconds - 0.01) is not None
        assert bucket.check(NOISY, worth=6, now=refused.wait_seconds) is None

    def test_one_devices_noise_is_nothing_to_another(self) -> None:
        bucket = limits()
        for _ in range(1_000):
            bucket.check(NOISY, worth=1, now=0.0)
        assert bucket.check(HONEST, worth=20, now=0.0) is None

    def test_tells_once_in_a_while(self) -> None:
        bucket = limits(per_second=0.001)
        bucket.check(NOISY, worth=20, now=0.0)
        found = [bucket.check(NOISY, worth=1, now=second / 2) for second in range(21)]
        assert [each is not None and each.is_news for each in found] == [
            second % 10 == 0 for second in range(21)
        ]

    def test_remembers_so_many_and_no_more(self) -> None:
        bucket = limits(remembered=100)
        for number in range(10_000):
            bucket.check(str(number), worth=1, now=0.0)
        assert len(bucket) == 100

    @given(
        steps=st.lists(
            st.tuples(st.floats(min_value=0, max_value=3), st.integers(min_value=1, max_value=20)),
            max_size=60,
        )
    )
    def test_never_take_more_than_the_bucket_and_what_ran_in(self, steps: list[tuple[float, int]]) -> None:
        bucket, now, taken = limits(), 0.0, 0
        for pause, worth in steps:
            now += pause
            taken += worth if bucket.check(NOISY, worth=worth, now=now) is None else 0
            assert taken <= 20 + 10 * now + 1e-6
