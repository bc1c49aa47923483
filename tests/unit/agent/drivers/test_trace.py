"""The replay driver's trace: exact energy, and errors that name the column or the row."""

from fractions import Fraction
from pathlib import Path

import pytest

from hireling.drivers.driver import BadInput
from hireling.drivers.replay.trace import read_trace


def trace_file(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


class TestReadTrace:
    def test_holds_each_row_until_the_next_time_and_the_last_for_a_second(self, tmp_path: Path) -> None:
        path = trace_file(tmp_path, "time,power_W\n2024-01-01 00:00:00,10\n2024-01-01 00:00:03,20.5\n")

        rows = read_trace(path, column="power_W", interval=None)

        assert [row.energy_mj for row in rows] == [30_000, 20_500]
        assert [row.seconds for row in rows] == [3, 1]

    def test_holds_each_row_for_a_second_without_times(self, tmp_path: Path) -> None:
        rows = read_trace(trace_file(tmp_path, "power_W\n1.5\n2\n"), column="power_W", interval=None)

        assert [row.energy_mj for row in rows] == [1500, 2000]

    def test_lets_the_interval_override_the_times(self, tmp_path: Path) -> None:
        path = trace_file(tmp_path, "time,power_W\nyesterday,1\ntoday,1\n")

        rows = read_trace(path, column="power_W", interval=Fraction(1, 2))

        assert [row.energy_mj for row in rows] == [500, 500]

    def test_loses_nothing_to_binary_fractions(self, tmp_path: Path) -> None:
        path = trace_file(tmp_path, "power_W\n" + "0.1\n" * 30)

        rows = read_trace(path, column="power_W", interval=Fraction("0.1"))

        assert sum(row.energy_mj for row in rows) == 300

    def test_reads_numbers_with_exponents(self, tmp_path: Path) -> None:
        rows = read_trace(trace_file(tmp_path, "power_W\n1.5e2\n"), column="power_W", interval=None)

        assert rows[0].energy_mj == 150_000

    def test_names_the_columns_when_one_is_missing(self, tmp_path: Path) -> None:
        path = trace_file(tmp_path, "Timestamp,Active (W)\n2024-01-01,1\n")

        with pytest.raises(
            BadInput, match=r"no column 'power'; its columns are: 'Timestamp', 'Active \(W\)'"
        ):
            read_trace(path, column="power", interval=None)

    @pytest.mark.parametrize("cell", ["", "n/a", "nan", "inf", "1/2", "1,5", "1_000", "0x10"])
    def test_names_the_row_of_a_bad_number(self, tmp_path: Path, cell: str) -> None:
        path = trace_file(tmp_path, f'note,power_W\na,1\nb,"{cell}"\n')

        with pytest.raises(BadInput, match=r"row 3: .* is not a number"):
            read_trace(path, column="power_W", interval=None)

    def test_refuses_a_negative_power(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="row 2: -3 W is negative"):
            read_trace(trace_file(tmp_path, "power_W\n-3\n"), column="power_W", interval=None)

    @pytest.mark.parametrize("text", ["", "power_W\n", "power_W\n\n\n"])
    def test_refuses_an_empty_file(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(BadInput, match="is empty"):
            read_trace(trace_file(tmp_path, text), column="power_W", interval=None)

    def test_refuses_times_that_stand_still(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="row 3: its time is not after"):
            read_trace(trace_file(tmp_path, "time,power_W\n5,1\n5,1\n"), column="power_W", interval=None)

    def test_names_a_row_with_too_few_cells(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="row 3: 1 cells where the first line names 2"):
            read_trace(trace_file(tmp_path, "time,power_W\n1,1\n2\n"), column="power_W", interval=None)

    def test_names_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match=r"there is no file .*missing\.csv"):
            read_trace(tmp_path / "missing.csv", column="power_W", interval=None)

    def test_refuses_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "picture.csv"
        path.write_bytes(b"\xff\xfe\x00\x80")

        with pytest.raises(BadInput, match="cannot be read as CSV"):
            read_trace(path, column="power_W", interval=None)
