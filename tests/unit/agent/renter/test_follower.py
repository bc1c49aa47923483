"""What the renter believes of a meter, and what it signs ahead."""

from pathlib import Path

import pytest

from hireling.device.log import RentalLog
from hireling.device.log_contents import Start
from hireling.device.meter import Meter
from hireling.rental.agreement import SignedAgreement
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import Reading, ReadingEvent, SignedReading, sign_reading
from hireling.renter.follower import Follower
from tests.unit.agent.rentals import PARTIES, HandClock, a_ceiling, an_offer, key, signed_by_both

STEP = 900_000  # mJ: 100 base units


class Machine:
    """A meter that the tests turn."""

    def __init__(self, folder: Path) -> None:
        self.agreement = signed_by_both(an_offer(seconds=3600))
        log = RentalLog.create(folder / "rental.log", Start(agreement=self.agreement, funded_bps=10_000))
        log.append_ceiling(a_ceiling(self.agreement, max_claimable=self.agreement.agreement.pay.block_max))
        self.clock = HandClock()
        self.meter = Meter(log, key=PARTIES.meter, clock=self.clock)
        self.total = 0

    def says(self, event: ReadingEvent, rise: int = 0) -> SignedReading:
        self.clock.advance(1)
        self.total += rise
        return self.meter.record(event, counters=(self.total,)).signed


def a_follower(agreement: SignedAgreement) -> Follower:
    follower = Follower(agreement)
    follower.ceiling = follower.due_ceiling()
    return follower


def altered(signed: SignedReading, **changes: object) -> SignedReading:
    reading = Reading.model_validate({**dict(signed.reading), **changes})
    return sign_reading(PARTIES.meter, signed.domain, reading)


class TestFollower:
    def test_first_allows_a_block_and_acknowledges_nothing(self, tmp_path: Path) -> None:
        agreement = Machine(tmp_path).agreement

        ceiling = a_follower(agreement).ceiling

        assert ceiling is not None
        assert (ceiling.max_claimable, ceiling.ack_amount) == (agreement.agreement.pay.block_max, 0)

    def test_renews_when_a_quarter_of_a_block_is_used(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        follower.take(machine.says(ReadingEvent.BEGIN))
        follower.ceiling = follower.due_ceiling()  # the flat fee alone is more than a quarter

        follower.take(machine.says(ReadingEvent.CONTINUE, STEP))

        assert follower.ceiling is not None
        assert follower.due_ceiling() is None

    def test_renews_at_once_when_the_machine_is_suspended(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        follower.take(machine.says(ReadingEvent.BEGIN))
        follower.ceiling = follower.due_ceiling()
        follower.take(machine.says(ReadingEvent.CONTINUE, STEP))
        follower.take(machine.says(ReadingEvent.SUSPEND))

        due = follower.due_ceiling()

        assert due is not None
        assert due.ack_amount == 50_100

    def test_takes_each_reading_once(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        begin = machine.says(ReadingEvent.BEGIN)

        assert follower.take(begin)
        assert not follower.take(begin)

    def test_says_which_reading_is_missing(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        machine.says(ReadingEvent.BEGIN)

        with pytest.raises(ReadingRefused) as refused:
            follower.take(machine.says(ReadingEvent.CONTINUE))
        assert refused.value.code == "gap"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [({"amount_due": 50_001}, "amount_above_tariff"), ({"rental_id": bytes(32)}, "unknown_rental")],
    )
    def test_refuses_a_lying_meter(self, tmp_path: Path, changes: dict[str, object], code: str) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)

        with pytest.raises(ReadingRefused) as refused:
            follower.take(altered(machine.says(ReadingEvent.BEGIN), **changes))
        assert refused.value.code == code
        assert follower.last is None

    def test_refuses_another_key(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        begin = machine.says(ReadingEvent.BEGIN)
        forged = sign_reading(key(99), begin.domain, begin.reading)

        with pytest.raises(ReadingRefused) as refused:
            a_follower(machine.agreement).take(forged)
        assert refused.value.code == "wrong_key"

    def test_refuses_a_meter_that_runs_too_fast(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        follower.take(machine.says(ReadingEvent.BEGIN))

        with pytest.raises(ReadingRefused) as refused:
            follower.take(machine.says(ReadingEvent.CONTINUE, 3_000_000))
        assert refused.value.code == "implausible_rate"

    def test_goes_on_after_a_restart_from_its_last_reading(self, tmp_path: Path) -> None:
        machine = Machine(tmp_path)
        follower = a_follower(machine.agreement)
        begin = machine.says(ReadingEvent.BEGIN)
        follower.take(begin)

        again = Follower(machine.agreement, last=begin.reading, ceiling=follower.ceiling)

        assert not again.take(begin)
        assert again.take(machine.says(ReadingEvent.CONTINUE, STEP))
