"""How fast counters may grow, and which ceilings count."""

from datetime import timedelta

import pytest

from hireling.rental.ceiling import Ceiling
from hireling.rental.errors import CeilingRefused, ReadingRefused
from hireling.rental.reading import ClockQuality, Reading, SignedReading, measured
from services.metering.ceilings import is_higher
from services.metering.usage import Terms, check_rate
from tests.builders import DOMAIN, METER_KEY, NOW, RENTER_AGENT_KEY, a_reading_chain, signed_agreement

RENTAL = signed_agreement()
HONEST = a_reading_chain(4)
# Much later than the agreed start, so that only the bound since the reading before matters.
LATER = NOW + timedelta(days=1)
OTHER_BOOT = b"\x02" * 32
# Counters of tests.builders' tariff: at most 3,000,000 mJ and 1,000 ms a second.
TERMS = Terms(
    rental_id=RENTAL.rental_id,
    device="0x00",
    meter=METER_KEY.identity,
    renter_agent=RENTER_AGENT_KEY.identity,
    domain=DOMAIN,
    counter_caps=(3_000_000, 1_000),
    start_at=int(NOW.timestamp()),
    max_total=10**9,
)


def reading(signed: SignedReading, **of_sample: object) -> Reading:
    """Return a reading with changes of its sample."""
    sample = signed.reading.sample.model_copy(update=of_sample)
    return signed.reading.model_copy(update={"sample": sample})


def rate_of(last: Reading | None, now: Reading, *, seconds_since_start: float = 86_400) -> None:
    """Check a reading's rate with two seconds of slack."""
    check_rate(
        TERMS,
        last=None if last is None else measured(last),
        reading=measured(now),
        received_at=NOW + timedelta(seconds=seconds_since_start),
        slack_seconds=2.0,
    )


class TestCheckRate:
    def test_accepts_the_fastest_growth_with_slack(self) -> None:
        # One second between the two by the device's clock, and two of slack.
        before = reading(HONEST[1], counters=(0, 0))
        rate_of(before, reading(HONEST[2], counters=(9_000_000, 3_000)))

    @pytest.mark.parametrize("counters", [(9_000_001, 0), (0, 3_001)])
    def test_refuses_one_unit_more(self, counters: tuple[int, int]) -> None:
        before = reading(HONEST[1], counters=(0, 0))
        with pytest.raises(ReadingRefused, match="since the reading before") as refused:
            rate_of(before, reading(HONEST[2], counters=counters))
        assert refused.value.code == "implausible_rate"

    def test_bounds_the_whole_by_the_agreed_start_whatever_the_device_s_clock_says(self) -> None:
        hasty = reading(HONEST[2], counters=(30_000_000, 0), monotonic_ms=10**9)
        rate_of(HONEST[1].reading, hasty, seconds_since_start=8)
        with pytest.raises(ReadingRefused, match="since the agreed start"):
            rate_of(HONEST[1].reading, hasty, seconds_since_start=7.999)

    def test_allows_no_more_than_slack_before_the_agreed_start(self) -> None:
        with pytest.raises(ReadingRefused, match="since the agreed start"):
            rate_of(
                HONEST[1].reading, reading(HONEST[2], counters=(6_000_001, 0)), seconds_since_start=-10_000
            )

    def test_measures_a_reboot_by_the_wall_clock(self) -> None:
        before = reading(HONEST[1], counters=(0, 0))
        rebooted = {"boot": OTHER_BOOT, "monotonic_ms": 0, "wall_ms": before.sample.wall_ms + 8_000}
        rate_of(before, reading(HONEST[2], counters=(30_000_000, 0), **rebooted))
        with pytest.raises(ReadingRefused, match="since the reading before"):
            rate_of(before, reading(HONEST[2], counters=(30_000_001, 0), **rebooted))

    def test_gives_a_rebooted_device_with_overlapping_clocks_only_the_slack(self) -> None:
        before = reading(HONEST[1], counters=(0, 0))
        rebooted = {"boot": OTHER_BOOT, "wall_ms": before.sample.wall_ms - 8_000}
        rate_of(before, reading(HONEST[2], counters=(6_000_000, 0), **rebooted))
        with pytest.raises(ReadingRefused, match="in 2000 ms"):
            rate_of(before, reading(HONEST[2], counters=(6_000_001, 0), **rebooted))

    def test_trusts_only_the_agreed_start_after_a_reboot_without_a_set_clock(self) -> None:
        before = reading(HONEST[1], counters=(0, 0))
        rebooted = {"boot": OTHER_BOOT, "wall_ms": 0, "clock": ClockQuality.UNSYNCHRONISED}
        rate_of(before, reading(HONEST[2], counters=(30_000_000, 0), **rebooted), seconds_since_start=8)

    def test_takes_another_number_of_counters_for_malformed(self) -> None:
        with pytest.raises(ReadingRefused) as refused:
            rate_of(None, reading(HONEST[0], counters=(0, 0, 0)))
        assert refused.value.code == "malformed"


class TestCeilingIsHigher:
    def ceiling(self, max_claimable: int, ack_amount: int) -> Ceiling:
        return Ceiling(
            rental_id=RENTAL.rental_id,
            max_claimable=max_claimable,
            ack_amount=ack_amount,
            ack_reading=bytes(32),
        )

    @pytest.mark.parametrize(
        ("new", "expected"),
        [((10, 5), False), ((11, 5), True), ((10, 6), True), ((9, 5), False), ((10, 4), False)],
    )
    def test_than_one_with_10_and_5(self, *, new: tuple[int, int], expected: bool) -> None:
        assert is_higher(self.ceiling(*new), than=self.ceiling(10, 5)) is expected

    def test_than_none(self) -> None:
        assert is_higher(self.ceiling(0, 0), than=None)

    @pytest.mark.parametrize("new", [(11, 4), (9, 6)])
    def test_neither_higher_nor_lower_is_refused(self, new: tuple[int, int]) -> None:
        with pytest.raises(CeilingRefused) as refused:
            is_higher(self.ceiling(*new), than=self.ceiling(10, 5))
        assert refused.value.code == "ceiling_fell"
