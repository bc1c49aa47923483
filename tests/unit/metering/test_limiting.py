"""How much one device may send."""

from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.batch import batch_wire
from services.metering.limiting import RateLimits, Turnstile, worth_of
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming
from tests.builders import NOW, a_reading_chain

NOISY, HONEST = "0x" + "aa" * 32, "0x" + "bb" * 32


def limits(**changes: float) -> RateLimits:
    """Return limits of ten a second, twenty at once."""
    settings = {"per_second": 10.0, "burst": 20, "tell_every_seconds": 5.0, **changes}
    return RateLimits(**settings)  # type: ignore[arg-type]


def message(device: str, *, word: str = "readings", payload: bytes = b"{}") -> Incoming:
    """Return a message on a device's topic."""
    return Incoming(topic=f"hireling/{device}/{word}", payload=payload, received_at=NOW)


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


class TestWorth:
    def test_of_ten_readings_in_a_batch_is_about_one_more(self) -> None:
        wires = [reading.model_dump_json() for reading in a_reading_chain(50)]
        batch = message(NOISY, word="batches", payload=batch_wire(wires).encode())
        assert 5.5 < worth_of(batch) < 6.5
        assert worth_of(message(NOISY, payload=wires[0].encode())) == 1.0


class TestTurnstile:
    def test_refuses_once_and_drops_the_rest_in_silence(self) -> None:
        turnstile = Turnstile(MeteringSettings(readings_per_second=1, readings_burst=17))
        flood = [message(NOISY, payload=str(number).encode()) for number in range(30)]
        admitted, refusals, silent = turnstile.admit([*flood, message(HONEST)], monotonic=0.0)
        assert [*admitted] == [*flood[:17], message(HONEST)]
        assert silent == 12
        (refused,) = refusals
        assert (refused.code, refused.device, refused.notice["wait_ms"]) == ("rate_limited", NOISY, "1000")

    def test_is_one_refusal_a_day_however_long_the_flood(self) -> None:
        turnstile = Turnstile(
            MeteringSettings(readings_per_second=0.001, readings_burst=17, limited_told_seconds=1)
        )
        turnstile.admit([message(NOISY)] * 17, monotonic=0.0)
        keys = set()
        for second in range(100):
            _, (refused,), _ = turnstile.admit([message(NOISY, payload=b"%d" % second)], monotonic=second)
            keys.add(refused.key)
        assert len(keys) == 1

    def test_takes_ceilings_from_a_bucket_that_is_not_the_devices(self) -> None:
        turnstile = Turnstile(MeteringSettings(readings_per_second=1, readings_burst=17))
        flood = [message(NOISY, word="ceilings") for _ in range(30)]
        _, (refused,), _ = turnstile.admit(flood, monotonic=0.0)
        assert refused.device is None, "it is not the device that floods"
        admitted, refusals, _ = turnstile.admit([message(NOISY)], monotonic=0.0)
        assert (len(admitted), refusals) == (1, [])

    def test_lets_everything_in_where_no_limit_is_set(self) -> None:
        flood = [message(NOISY) for _ in range(10_000)]
        turnstile = Turnstile(MeteringSettings(readings_per_second=0))
        assert turnstile.admit(flood, monotonic=0.0) == (flood, [], 0)
