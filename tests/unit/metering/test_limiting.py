"""How much one device may send."""

from hireling.rental.batch import batch_wire
from services.metering.limiting import Turnstile, worth_of
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming
from tests.builders import NOW, a_reading_chain

NOISY, HONEST = "0x" + "aa" * 32, "0x" + "bb" * 32


def message(device: str, *, word: str = "readings", payload: bytes = b"{}") -> Incoming:
    """Return a message on a device's topic."""
    return Incoming(topic=f"hireling/{device}/{word}", payload=payload, received_at=NOW)


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
