"""PostgreSQL's half of a restore puts nothing back under a server that is there, however it answers."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "infra" / "containers" / "cluster.sh"
VERSION = "17"


def put_back(folder: Path, *, server: int) -> str:
    """Put a backup back where `pg_isready` ends with this status; return what is said.

    The backup is broken: nothing is replaced in any case.
    """
    programs, backup = folder / "programs", folder / "backup"
    for made in (programs, backup / "cluster"):
        made.mkdir(parents=True)
    (backup / "manifest.json").write_text("{}")
    (backup / "cluster" / "PG_VERSION").write_text(f"{VERSION}\n")
    for name, does in {
        "postgres": f"echo 'postgres (PostgreSQL) {VERSION}.1'",
        "pg_isready": f"exit {server}",
        "pg_verifybackup": "echo broken >&2; exit 1",
    }.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
    ran = subprocess.run(
        ["bash", SCRIPT, "put-back", backup],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "PGDATA": str(folder / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    return ran.stderr


@pytest.mark.parametrize("server", [0, 1])
def test_a_server_that_answers_is_in_the_way_whether_it_takes_connections_or_not(
    tmp_path: Path, server: int
) -> None:
    assert put_back(tmp_path, server=server) == "cluster: the server runs: docker compose down\n"


def test_the_backup_is_looked_at_where_nothing_answers(tmp_path: Path) -> None:
    assert put_back(tmp_path, server=2) == "broken\n"
