"""Days, batches, leaves, and what a proof of a reading must show."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hireling.rental import merkle
from hireling.rental.anchoring import (
    READINGS,
    Announcement,
    ReadingProof,
    batch_of,
    check_proof,
    day_of,
    device_leaf,
    device_root,
    end_of,
)
from hireling.rental.errors import AnchorInvalid, Malformed
from hireling.rental.reading import reading_hash
from hireling.rental.signing import keccak256
from tests.builders import a_reading_chain

CHAIN = a_reading_chain(5)
HASHES = [reading_hash(signed.reading) for signed in CHAIN]
DEVICE, OTHER = keccak256(b"device"), keccak256(b"other device")
DAY = 20_780


def a_proof(number: int = 2, **changes: Any) -> ReadingProof:
    """Return a proof of a reading of a device that shares its day with another."""
    root = device_root(HASHES)
    leaves = [device_leaf(DEVICE, root, len(HASHES)), device_leaf(OTHER, keccak256(b"its root"), 7)]
    proof = ReadingProof(
        rental_id=CHAIN[0].reading.rental_id,
        seq=number,
        device=DEVICE,
        day=DAY,
        reading=HASHES[number],
        reading_path=merkle.proof(HASHES, number),
        device_root=root,
        device_readings=len(HASHES),
        device_path=merkle.proof(leaves, 0),
        day_root=merkle.root(leaves),
        batch=batch_of(READINGS, DAY),
        announcement=Announcement(chain_id=31337, contract=bytes(20), publisher=bytes(20)),
    )
    return proof.model_copy(update=changes)


class TestDays:
    def test_begin_and_end_at_midnight_utc_wherever_the_clock_is(self) -> None:
        midnight = datetime(2026, 11, 24, tzinfo=UTC)
        assert day_of(midnight) == day_of(midnight - timedelta(microseconds=1)) + 1
        assert end_of(day_of(midnight)) == midnight + timedelta(days=1)
        assert day_of(midnight.astimezone(timezone(timedelta(hours=9)))) == day_of(midnight)

    def test_are_counted_from_1970(self) -> None:
        assert day_of(datetime(1970, 1, 1, 23, 59, tzinfo=UTC)) == 0


class TestBatches:
    def test_are_named_by_28_bytes_of_stream_and_four_of_day(self) -> None:
        assert batch_of(READINGS, 1) == b"readings" + bytes(23) + b"\x01"

    @pytest.mark.parametrize(("stream", "day"), [(bytes(29), 0), (READINGS, -1), (READINGS, 1 << 32)])
    def test_have_no_name_beyond_their_32_bytes(self, stream: bytes, day: int) -> None:
        with pytest.raises(Malformed, match="no batch"):
            batch_of(stream, day)


class TestDeviceRoot:
    def test_counts_no_reading_twice(self) -> None:
        with pytest.raises(Malformed, match="two leaves are the same"):
            device_root([*HASHES, HASHES[0]])

    def test_is_bound_to_its_device_and_its_count(self) -> None:
        root = device_root(HASHES)
        leaves = {device_leaf(DEVICE, root, 5), device_leaf(OTHER, root, 5), device_leaf(DEVICE, root, 6)}
        assert len(leaves) == 3


class TestCheckProof:
    @pytest.mark.parametrize("number", range(5))
    def test_passes_for_each_reading_of_the_day(self, number: int) -> None:
        check_proof(a_proof(number), CHAIN[number].reading)

    def test_refuses_another_reading_of_the_same_rental(self) -> None:
        with pytest.raises(AnchorInvalid, match="the proof is of reading 2, not of reading 3"):
            check_proof(a_proof(), CHAIN[3].reading)

    def test_refuses_the_reading_with_one_digit_changed(self) -> None:
        reading = CHAIN[2].reading
        forged = reading.model_copy(update={"amount_due": reading.amount_due + 1})
        with pytest.raises(AnchorInvalid, match="reading 2 hashes to"):
            check_proof(a_proof(), forged)

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"reading_path": ()}, "not_under_device_root"),
            ({"device_root": keccak256(b"another")}, "not_under_device_root"),
            ({"device_readings": 6}, "not_under_day_root"),
            ({"device": OTHER}, "not_under_day_root"),
            ({"day_root": keccak256(b"another")}, "not_under_day_root"),
            ({"day": DAY + 1}, "other_batch"),
            ({"batch": batch_of(b"bills", DAY)}, "other_batch"),
        ],
    )
    def test_refuses_a_proof_with_a_part_exchanged(self, changes: dict[str, Any], code: str) -> None:
        with pytest.raises(AnchorInvalid) as refused:
            check_proof(a_proof(**changes), CHAIN[2].reading)
        assert refused.value.code == code
