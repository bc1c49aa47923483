"""PostgreSQL's own programs: a copy of a whole cluster as of one moment, and a cluster made of it again."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from services.messages.errors import Conflict, Invalid, OperatorError, Unavailable

VERSION_FILE = "PG_VERSION"
MANIFEST = "backup_manifest"
# Every program says much less than this; a large cluster takes hours.
COPY_SECONDS = 24 * 3600.0
START_SECONDS = 600.0
REASON = 500
# So that nobody but the restorer reaches a server that is not back yet: over a socket in a folder of its own.
_ALONE = "local all all trust\n"


class Programs:
    """PostgreSQL's programs of one version, run as whoever owns the cluster where root runs them."""

    def __init__(self, folder: Path | None, *, user: str | None) -> None:
        self._folder = folder or _newest()
        self._owner = (user or "postgres") if os.geteuid() == 0 else None

    def copy(self, url: str, target: Path) -> None:
        """Copy a running cluster: the copy is as of the moment at which this ends.

        Raises Unavailable with what pg_basebackup says.
        """
        server = urlsplit(url)
        command = ["pg_basebackup", "--pgdata", str(target), "--checkpoint", "fast", "--no-password"]
        command += ["--wal-method", "stream", "--manifest-checksums", "SHA256"]
        command += ["--host", str(server.hostname), "--port", str(server.port or 5432)]
        command += ["--username", unquote(server.username or "postgres")]
        done = self._run(*command, password=None if server.password is None else unquote(server.password))
        if done.returncode != 0:
            raise Unavailable("cluster_not_copied", f"pg_basebackup: {done.stderr.strip()[-REASON:]}")

    def verify(self, copy: Path) -> None:
        """Raise Invalid unless every file of a copy is what the server sent."""
        done = self._run("pg_verifybackup", "--exit-on-error", "--quiet", str(copy))
        if done.returncode != 0:
            raise Invalid("backup_broken", f"pg_verifybackup: {done.stderr.strip()[-REASON:]}")

    def put_back(self, copy: Path, data: Path) -> None:
        """Make a data folder of a copy, whose files belong to the server's user."""
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(copy, data, symlinks=True, dirs_exist_ok=True)
        data.chmod(0o700)
        (data / MANIFEST).unlink()
        if self._owner is not None:
            user = pwd.getpwnam(self._owner)
            for path in (data, *data.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
        os.sync()

    @contextmanager
    def serving(self, data: Path, *, superuser: str) -> Iterator[str]:
        """Serve a data folder to this process alone; yield its address, to be formatted with a database.

        What the copy's log holds is played first. Raises OperatorError where the server does not come up.
        """
        with tempfile.TemporaryDirectory(prefix="hireling-restore-") as name:
            folder = Path(name)
            rules, log = folder / "pg_hba.conf", folder / "log"
            rules.write_text(_ALONE)
            log.touch()
            if self._owner is not None:
                for path in (folder, rules, log):
                    shutil.chown(path, self._owner)
            options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c hba_file='{rules}'"
            control = ["pg_ctl", "--pgdata", str(data), "--wait", "--timeout", str(int(START_SECONDS))]
            done = self._run(*control, "--log", str(log), "--options", options, "start", as_owner=True)
            if done.returncode != 0:
                raise OperatorError("cluster_not_served", f"pg_ctl: {log.read_text()[-REASON:]}")
            try:
                port = _port_in(data)
                yield f"postgresql+psycopg://{superuser}@/{{database}}?host={quote(str(folder))}&port={port}"
            finally:
                self._run(*control, "--mode", "fast", "stop", as_owner=True)

    @property
    def version(self) -> int:
        """Return the programs' major version."""
        # Its third word is the version, such as 15.18.
        return int(self._run("pg_ctl", "--version").stdout.split()[2].partition(".")[0])

    def _run(
        self, program: str, *arguments: str, password: str | None = None, as_owner: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        path = program if self._folder is None else str(self._folder / program)
        owner = pwd.getpwnam(self._owner) if as_owner and self._owner is not None else None
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        if password is not None:
            environment["PGPASSWORD"] = password
        try:
            return subprocess.run(  # noqa: S603 - the command is ours
                [path, *arguments],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COPY_SECONDS,
                check=False,
                user=None if owner is None else owner.pw_uid,
                group=None if owner is None else owner.pw_gid,
                extra_groups=None if owner is None else [],
            )
        except FileNotFoundError as error:
            raise OperatorError(
                "no_postgresql",
                f"{program} is not installed here: name its folder in OPERATOR_POSTGRES_PROGRAMS",
            ) from error


def version_of(copy: Path) -> int:
    """Return the major version of the server that a cluster is of. Raises Invalid."""
    try:
        return int((copy / VERSION_FILE).read_text())
    except (OSError, ValueError) as error:
        raise Invalid("backup_broken", f"{copy} is no cluster of PostgreSQL") from error


def copied_at(copy: Path) -> datetime:
    """Return the moment that a copy of a cluster is of: its server writes the list of files last.

    Raises Invalid.
    """
    try:
        return datetime.fromtimestamp((copy / MANIFEST).stat().st_mtime, UTC)
    except OSError as error:
        raise Invalid("backup_broken", f"{copy} is no whole copy of a cluster: no {MANIFEST}") from error


def require_stopped(data: Path) -> None:
    """Raise Conflict while a server runs on a data folder."""
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return
    raise Conflict("server_runs", f"a server (process {pid}) runs on {data}: stop it first", pid=pid)


def name_in(url: str) -> str:
    """Return the name of the database in an address of PostgreSQL's; empty where it names none."""
    return unquote(urlsplit(url).path.removeprefix("/"))


def _newest() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


def _port_in(data: Path) -> int:
    # The socket's name ends with it.
    return int((data / "postmaster.pid").read_text().splitlines()[3])
