"""The append-only file: killed at every byte it comes back whole, and it refuses what somebody changed."""

import errno
from pathlib import Path

import pytest

from hireling.device import record_file
from hireling.device.record_file import LogDamaged, NotKept, Record, RecordFile, encode
from tests.unit.agent.disk import full_disk

RECORDS: list[Record] = [
    {"kind": "reading", "wire": "first"},
    {"kind": "reading", "wire": "zweite \u00e9"},
    {"n": 3},
]


def opened(path: Path) -> tuple[RecordFile, list[Record]]:
    """Open a file and return it with its records."""
    records: list[Record] = []
    return RecordFile(path, lambda _, record: records.append(record)), records


def records_of(path: Path) -> list[Record]:
    """Return a file's records."""
    file, records = opened(path)
    file.close()
    return records


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestRecordFile:
    def test_gives_back_what_was_appended(self, tmp_path: Path) -> None:
        file, _ = opened(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)
        file.close()

        assert records_of(tmp_path / "rental.log") == RECORDS

    def test_is_readable_by_its_owner_alone(self, tmp_path: Path) -> None:
        opened(tmp_path / "rental.log")

        assert (tmp_path / "rental.log").stat().st_mode & 0o777 == 0o600

    def test_cuts_a_last_record_torn_at_any_byte(self, tmp_path: Path) -> None:
        lines = [encode(record) for record in RECORDS]
        whole = b"".join(lines[:2])
        for length in range(1, len(lines[2])):
            path = write(tmp_path / f"{length}.log", whole + lines[2][:length])

            file, records = opened(path)

            assert records == RECORDS[:2]
            assert file.cut is not None
            assert f"cut {length} bytes" in file.cut
            file.append(RECORDS[2])
            file.close()
            assert records_of(path) == RECORDS

    def test_cuts_blocks_that_the_disk_had_not_written(self, tmp_path: Path) -> None:
        path = write(tmp_path / "rental.log", encode(RECORDS[0]) + b"\0" * 40 + b"\n")

        assert records_of(path) == RECORDS[:1]

    def test_refuses_any_changed_byte_before_the_last_newline(self, tmp_path: Path) -> None:
        content = b"".join(encode(record) for record in RECORDS[:2])
        for place in range(len(content) - 1):
            changed = bytearray(content)
            changed[place] ^= 0x04
            path = write(tmp_path / "rental.log", bytes(changed))

            with pytest.raises(LogDamaged, match=r"line [12] is damaged|torn"):
                opened(path)

    def test_a_whole_last_record_is_never_cut(self, tmp_path: Path) -> None:
        # It ends with its newline, so it may have been synced and published: cutting it could sign
        # its number twice.
        content = encode(RECORDS[0]) + encode(RECORDS[1]).replace(b"zweite", b"zweitf")
        path = write(tmp_path / "rental.log", content)

        with pytest.raises(LogDamaged, match="line 2 is damaged"):
            opened(path)
        assert path.read_bytes() == content

    def test_rewrites_in_one_step_and_appends_after_it(self, tmp_path: Path) -> None:
        file, _ = opened(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)

        file.rewrite(map(encode, RECORDS[2:]))
        file.append({"n": 4})
        file.close()

        assert records_of(tmp_path / "rental.log") == [{"n": 3}, {"n": 4}]
        assert [path.name for path in tmp_path.iterdir()] == ["rental.log"]

    def test_gives_back_each_record_from_its_place(self, tmp_path: Path) -> None:
        file, _ = opened(tmp_path / "rental.log")
        long: Record = {"wire": "x" * 20_000}
        places = [file.append(record) for record in [*RECORDS, long, *RECORDS]]

        assert [file.record_at(place) for place in places] == [*RECORDS, long, *RECORDS]
        again: list[int] = []
        RecordFile(tmp_path / "rental.log", lambda place, _: again.append(place))
        assert again == places

    def test_a_full_disk_takes_a_record_wholly_or_not_at_all(self, tmp_path: Path) -> None:
        file, _ = opened(tmp_path / "rental.log")
        file.append(RECORDS[0])
        before = (tmp_path / "rental.log").read_bytes()
        for room in range(len(encode(RECORDS[1]))):
            with full_disk(len(before) + room), pytest.raises(NotKept, match="takes nothing more"):
                file.append(RECORDS[1])
            assert (tmp_path / "rental.log").read_bytes() == before

        file.append(RECORDS[1])
        file.close()
        assert records_of(tmp_path / "rental.log") == RECORDS[:2]

    def test_a_full_disk_leaves_the_old_content_where_it_cannot_be_rewritten(self, tmp_path: Path) -> None:
        file, _ = opened(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)
        before = (tmp_path / "rental.log").read_bytes()

        with full_disk(5), pytest.raises(OSError, match="File too large"):
            file.rewrite(map(encode, RECORDS))

        assert (tmp_path / "rental.log").read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["rental.log"]
        file.append({"n": 4})
        file.close()
        assert records_of(tmp_path / "rental.log") == [*RECORDS, {"n": 4}]

    def test_is_trusted_no_more_where_nobody_knows_which_content_will_stand(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file, _ = opened(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)

        def broken(folder: Path) -> None:
            raise OSError(errno.EIO, "the disk is broken", str(folder))

        monkeypatch.setattr(record_file, "sync_folder", broken)
        with pytest.raises(LogDamaged, match="its folder not synced"):
            file.rewrite(map(encode, RECORDS[1:]))
        # What is appended all the same goes where a restart reads it.
        file.append({"n": 4})
        file.close()
        assert records_of(tmp_path / "rental.log") == [*RECORDS[1:], {"n": 4}]
