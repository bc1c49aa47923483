"""What we assume of SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file with a patience of five seconds, beginning transactions by hand."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS number (value INTEGER)")
    return connection


def test_a_reader_that_turns_writer_fails_at_once_where_another_wrote_meanwhile(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "a.db")) as ours, closing(open_file(tmp_path / "a.db")) as theirs:
        ours.execute("BEGIN")
        ours.execute("SELECT count(*) FROM number").fetchone()
        theirs.execute("INSERT INTO number VALUES (1)")
        began = monotonic()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            ours.execute("INSERT INTO number VALUES (2)")
        assert monotonic() - began < 1.0, "the busy timeout does not help: units of work begin IMMEDIATE"


def test_numbers_rows_by_itself_only_where_the_key_is_exactly_integer(tmp_path: Path) -> None:
    with closing(open_file(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE big (id BIGINT PRIMARY KEY, value INTEGER)")
        connection.execute("INSERT INTO big (value) VALUES (1)")
        assert connection.execute("SELECT id FROM big").fetchone() == (None,)


def test_supports_what_the_inbox_needs() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE inbox (key TEXT PRIMARY KEY)")
        insert = "INSERT INTO inbox VALUES ('a') ON CONFLICT DO NOTHING RETURNING key"
        assert connection.execute(insert).fetchall() == [("a",)]
        assert connection.execute(insert).fetchall() == []
