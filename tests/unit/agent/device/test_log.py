"""The rental's log: after a crash at any byte the device goes on exactly, and never signs a number twice."""

from itertools import accumulate
from pathlib import Path

import pytest

from hireling.device import log as log_module
from hireling.device.log import RentalLog
from hireling.device.log_contents import LogEmpty, Start
from hireling.device.meter import Meter
from hireling.device.record_file import LogDamaged, NotKept
from hireling.rental.reading import ReadingChain, ReadingEvent
from tests.unit.agent.disk import full_disk
from tests.unit.agent.rentals import PARTIES, HandClock, a_ceiling, an_offer, signed_by_both


def begin(path: Path) -> tuple[RentalLog, Meter]:
    agreement = signed_by_both(an_offer())
    log = RentalLog.create(path, Start(agreement=agreement, funded_bps=10_000))
    log.append_ceiling(a_ceiling(agreement, max_claimable=agreement.agreement.pay.block_max))
    meter = Meter(log, key=PARTIES.meter, clock=HandClock())
    meter.record(ReadingEvent.BEGIN)
    return log, meter


def take(meter: Meter, energy: int, position: int) -> str:
    return meter.record(ReadingEvent.CONTINUE, counters=(energy,), position=position).wire


class TestRentalLog:
    def test_goes_on_after_a_restart_with_the_next_number_and_the_same_bytes(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        first = take(meter, 90_000, 1)
        log.close()

        reopened = RentalLog.open(tmp_path / "rental.log")

        assert [logged.wire for logged in reopened.unacknowledged(-1)][1] == first
        assert reopened.progress.counters == (90_000,)
        assert reopened.progress.position == 1
        assert reopened.ceiling == log.ceiling
        assert reopened.start == log.start
        again = Meter(reopened, key=PARTIES.meter, clock=HandClock()).record(
            ReadingEvent.CONTINUE, counters=(99_000,)
        )
        assert again.seq == 2

    def test_a_crash_at_any_byte_never_signs_a_published_number_twice(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "whole.log")
        wires = [log.last.wire if log.last else "", take(meter, 9_000, 1), take(meter, 18_000, 2)]
        log.close()
        content = (tmp_path / "whole.log").read_bytes()
        ends = list(accumulate(len(line) for line in content.splitlines(keepends=True)))
        reading_ends = ends[2:]  # after the terms and the ceiling

        for length in range(reading_ends[0], len(content) + 1):
            path = tmp_path / "crashed.log"
            path.write_bytes(content[:length])
            crashed = RentalLog.open(path)
            # A line that was written to its end may have been published; a shorter one was not.
            written = sum(1 for end in reading_ends if end <= length)
            assert [logged.wire for logged in crashed.unacknowledged(-1)] == wires[:written]
            crashed.close()

    def test_a_log_torn_at_any_byte_of_any_record_goes_on_from_the_records_before(
        self, tmp_path: Path
    ) -> None:
        log, meter = begin(tmp_path / "whole.log")
        agreement = log.start.agreement
        for number in range(1, 4):
            take(meter, number * 9_000, number)
            log.append_ceiling(a_ceiling(agreement, max_claimable=100_000, ack_amount=number))
            log.note_ack(number)
        meter.record(ReadingEvent.END)
        log.note_end("finished")
        log.close()
        content = (tmp_path / "whole.log").read_bytes()
        lines = content.splitlines(keepends=True)
        ends = list(accumulate(map(len, lines)))

        # Every byte has its turn in the record file's own test; here all kinds of records have.
        edges = {end + by for end in (0, *ends) for by in (-1, 0, 1, 9, 40)} & set(range(len(content)))
        for length in sorted(edges):
            path = tmp_path / "torn.log"
            path.write_bytes(content[:length])
            whole = sum(1 for end in ends if end <= length)
            if whole == 0:
                with pytest.raises(LogEmpty):
                    RentalLog.open(path)
                continue
            torn = RentalLog.open(path)
            assert (torn.cut is None) == (length in ends)
            assert path.read_bytes() == b"".join(lines[:whole])
            torn.close()

    def test_a_full_disk_has_no_number_signed_twice(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        size = (tmp_path / "rental.log").stat().st_size

        with full_disk(size + 300):
            with pytest.raises(NotKept):
                take(meter, 9_000, 1)
            assert log.last is not None
            assert log.last.seq == 0
            with pytest.raises(RuntimeError, match="reading 1 is signed and not kept yet"):
                take(meter, 18_000, 2)
            with pytest.raises(NotKept):
                meter.keep()

        kept = meter.keep()
        assert (kept.seq, kept.signed.reading.sample.counters) == (1, (9_000,))
        take(meter, 18_000, 2)
        log.close()
        reopened = RentalLog.open(tmp_path / "rental.log")
        assert [logged.seq for logged in reopened.unacknowledged(-1)] == [0, 1, 2]

    def test_acknowledgements_need_no_space(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        take(meter, 9_000, 1)

        with full_disk((tmp_path / "rental.log").stat().st_size):
            log.note_ack(1)

        assert list(log.unacknowledged(-1)) == []

    def test_a_log_that_cannot_be_trimmed_stays_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_module, "TRIM_ABOVE", 3)
        monkeypatch.setattr(log_module, "KEPT", 1)
        log, meter = begin(tmp_path / "rental.log")
        for number in range(1, 10):
            take(meter, number * 9_000, number)
        log.append_ceiling(a_ceiling(log.start.agreement, max_claimable=100_000, ack_amount=50_009))
        before = (tmp_path / "rental.log").read_bytes()

        with full_disk(100):
            log.note_ack(9)
        assert (tmp_path / "rental.log").read_bytes() == before

        take(meter, 90_000, 10)
        assert [logged.seq for logged in log.unacknowledged(-1)] == [10]

    def test_refuses_a_number_that_does_not_follow(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        taken = meter.record(ReadingEvent.CONTINUE, counters=(9_000,))

        with pytest.raises(LogDamaged, match="reading 1 where 2 follows"):
            log.append_reading(taken.signed, position=1)

    def test_resends_only_what_is_not_acknowledged(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        for number in range(1, 6):
            take(meter, number * 9_000, number)

        log.note_ack(3)

        assert [logged.seq for logged in log.unacknowledged(-1)] == [4, 5]
        assert [logged.seq for logged in log.unacknowledged(4)] == [5]

    def test_ignores_an_acknowledgement_of_what_it_never_signed(self, tmp_path: Path) -> None:
        log, _ = begin(tmp_path / "rental.log")

        log.note_ack(7)

        assert log.acked == -1

    def test_trims_what_both_platform_and_renter_hold(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_module, "TRIM_ABOVE", 3)
        monkeypatch.setattr(log_module, "KEPT", 1)
        log, meter = begin(tmp_path / "rental.log")
        for number in range(1, 10):
            take(meter, number * 9_000, number)
        agreement = log.start.agreement
        size = (tmp_path / "rental.log").stat().st_size

        log.append_ceiling(a_ceiling(agreement, max_claimable=100_000, ack_amount=50_006))
        log.note_ack(9)

        assert (tmp_path / "rental.log").stat().st_size < size
        reopened = RentalLog.open(tmp_path / "rental.log")
        # 50,006 is the amount of number 6: a dispute may ask for everything after it.
        assert reopened.progress == log.progress
        assert reopened.acked == 9
        assert Meter(reopened, key=PARTIES.meter, clock=HandClock()).record(ReadingEvent.END).seq == 10
        chain = ReadingChain.resumed(
            rental_id=log.rental_id,
            meter=PARTIES.meter.identity,
            domain=agreement.domain,
            last=reopened.last.signed.reading if reopened.last else None,
        )
        assert chain.next_seq == 11

    def test_keeps_the_newest_although_all_hold_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log_module, "TRIM_ABOVE", 3)
        monkeypatch.setattr(log_module, "KEPT", 4)
        log, meter = begin(tmp_path / "rental.log")
        for number in range(1, 20):
            take(meter, number * 9_000, number)
        log.append_ceiling(a_ceiling(log.start.agreement, max_claimable=1_000_000, ack_amount=900_000))
        log.note_ack(19)
        log.close()

        reopened = RentalLog.open(tmp_path / "rental.log")
        reopened.go_back(-1)
        assert [logged.seq for logged in reopened.unacknowledged(-1)] == [16, 17, 18, 19]

    def test_remembers_that_the_platform_lost_what_it_held(self, tmp_path: Path) -> None:
        log, meter = begin(tmp_path / "rental.log")
        for number in range(1, 6):
            take(meter, number * 9_000, number)
        log.note_ack(5)
        log.go_back(2)
        log.close()

        reopened = RentalLog.open(tmp_path / "rental.log")
        assert [logged.seq for logged in reopened.unacknowledged(-1)] == [3, 4, 5]

    def test_refuses_a_log_that_starts_with_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "rental.log").write_bytes(b"")

        with pytest.raises(LogDamaged, match="does not start with a rental's terms"):
            RentalLog.open(tmp_path / "rental.log")

    def test_refuses_to_begin_a_rental_twice(self, tmp_path: Path) -> None:
        log, _ = begin(tmp_path / "rental.log")

        with pytest.raises(LogDamaged, match="already holds a rental"):
            RentalLog.create(tmp_path / "rental.log", log.start)
