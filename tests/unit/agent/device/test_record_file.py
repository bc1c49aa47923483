"""The append-only file: killed at every byte it comes back whole, and it refuses what somebody changed."""

from pathlib import Path

import pytest

from hireling.device.record_file import LogDamaged, Record, RecordFile, encode

RECORDS: list[Record] = [
    {"kind": "reading", "wire": "first"},
    {"kind": "reading", "wire": "zweite \u00e9"},
    {"n": 3},
]


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class TestRecordFile:
    def test_gives_back_what_was_appended(self, tmp_path: Path) -> None:
        file = RecordFile(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)
        file.close()

        assert RecordFile(tmp_path / "rental.log").records == RECORDS

    def test_is_readable_by_its_owner_alone(self, tmp_path: Path) -> None:
        RecordFile(tmp_path / "rental.log")

        assert (tmp_path / "rental.log").stat().st_mode & 0o777 == 0o600

    def test_cuts_a_last_record_torn_at_any_byte(self, tmp_path: Path) -> None:
        lines = [encode(record) for record in RECORDS]
        whole = b"".join(lines[:2])
        for length in range(1, len(lines[2])):
            path = write(tmp_path / f"{length}.log", whole + lines[2][:length])

            file = RecordFile(path)

            assert file.records == RECORDS[:2]
            assert file.cut is not None
            assert f"cut {length} bytes" in file.cut
            file.append(RECORDS[2])
            file.close()
            assert RecordFile(path).records == RECORDS

    def test_cuts_blocks_that_the_disk_had_not_written(self, tmp_path: Path) -> None:
        path = write(tmp_path / "rental.log", encode(RECORDS[0]) + b"\0" * 40 + b"\n")

        assert RecordFile(path).records == RECORDS[:1]

    def test_refuses_any_changed_byte_before_the_last_newline(self, tmp_path: Path) -> None:
        content = b"".join(encode(record) for record in RECORDS[:2])
        for place in range(len(content) - 1):
            changed = bytearray(content)
            changed[place] ^= 0x04
            path = write(tmp_path / "rental.log", bytes(changed))

            with pytest.raises(LogDamaged, match=r"line [12] is damaged|torn"):
                RecordFile(path)

    def test_a_whole_last_record_is_never_cut(self, tmp_path: Path) -> None:
        # It ends with its newline, so it may have been synced and published: cutting it could sign
        # its number twice.
        content = encode(RECORDS[0]) + encode(RECORDS[1]).replace(b"zweite", b"zweitf")
        path = write(tmp_path / "rental.log", content)

        with pytest.raises(LogDamaged, match="line 2 is damaged"):
            RecordFile(path)
        assert path.read_bytes() == content

    def test_rewrites_in_one_step_and_appends_after_it(self, tmp_path: Path) -> None:
        file = RecordFile(tmp_path / "rental.log")
        for record in RECORDS:
            file.append(record)

        file.rewrite(RECORDS[2:])
        file.append({"n": 4})
        file.close()

        assert RecordFile(tmp_path / "rental.log").records == [{"n": 3}, {"n": 4}]
        assert [path.name for path in tmp_path.iterdir()] == ["rental.log"]
