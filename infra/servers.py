"""What the servers of the stack are: how each is made on a free port, and how to tell that it serves.

Started by root they run as their own system users, because they refuse root; otherwise as the caller.
"""

import base64
import contextlib
import hashlib
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

INFRA = Path(__file__).resolve().parent
PORTS = range(20_000, 32_000)
ALL_POWERFUL = "stack"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in /usr/sbin serves two users only


class StackError(Exception):
    """A server is missing, did not start, or is not known."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """How to start one server, and the process it has now."""

    name: str
    command: list[str]
    environment: dict[str, str]
    user: str | None
    port: int
    stop_signal: int = signal.SIGTERM
    pid: int = 0
    log: str = ""


def postgres_programs() -> Path:
    """Return the folder of the newest installed PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise StackError("postgresql is not installed")
    return found[-1].parent


def require_servers() -> None:
    """Fail with the mend when a server is not installed."""
    installed = {
        "rabbitmq-server": RABBITMQ.exists(),
        "postgresql": any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        "mosquitto": mosquitto_program() is not None,
        "prometheus": shutil.which("prometheus") is not None,
    }
    missing = [name for name, there in installed.items() if not there]
    if missing:
        raise StackError(f"not installed: {', '.join(missing)}. Mend: sudo infra/setup-debian.sh")


def mosquitto_program() -> str | None:
    """Return Mosquitto's path; Debian keeps it in /usr/sbin, which a user's PATH may lack."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")  # noqa: TID251


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nothing listens on now, all different.

    They lie below those that the system gives to outgoing connections: while a killed server is down, none of
    its clients' attempts may be given its port, and connect to itself.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(PORTS, k=len(PORTS)):
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # in use
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise StackError(f"fewer than {count} free ports from {PORTS[0]} to {PORTS[-1]}")


def home(root: Path, *, name: str, user: str | None) -> Path:
    """Make the folder of one server, owned by the user it runs as; keep what is there."""
    folder = root / name
    folder.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def unprivileged(name: str) -> str | None:
    """Return the system user to run as, or None when we are no root and run as ourselves."""
    return name if os.geteuid() == 0 else None


def write_for(user: str | None, path: Path, text: str) -> None:
    """Write a file that only the server's user may read."""
    path.touch(mode=0o600)
    path.write_text(text)
    if user:
        shutil.chown(path, user)


def postgres(root: Path, *, port: int, password: str) -> Server:
    """Make a cluster where there is none, and say how to serve it."""
    user = unprivileged("postgres")
    folder = home(root, name="postgres", user=user)
    programs = postgres_programs()
    write_for(user, folder / "password", password)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    data = folder / "data"
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        "-E",
        "UTF8",
    ]
    if not data.exists():
        subprocess.run(
            [*initdb, "--pwfile", folder / "password"],
            check=True,
            user=user,
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("include = '../postgresql.conf'\n")
    ours = (INFRA / "postgres" / "postgresql.conf").read_text()
    place = f"listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n"
    write_for(user, folder / "postgresql.conf", ours + place)
    return Server(
        name="postgres",
        command=[str(programs / "postgres"), "-D", str(data)],
        environment=environment,
        user=user,
        port=port,
        stop_signal=signal.SIGINT,  # fast shutdown: it removes its shared memory
    )


def rabbitmq(
    root: Path, *, port: int, cluster_port: int, epmd_port: int, listener: str | None = None
) -> list[Server]:
    """Say how to serve a node of its own, with a name service of its own.

    `listener` are the settings of another listener than the plain one, on the same port.
    """
    user = unprivileged("rabbitmq")
    folder = home(root, name="rabbitmq", user=user)
    settings = (INFRA / "rabbitmq" / "rabbitmq.conf").read_text()
    listener = listener or f"listeners.tcp.local = 127.0.0.1:{port}\n"
    write_for(user, folder / "rabbitmq.conf", settings + listener)
    write_for(user, folder / "enabled_plugins", "[].\n")
    environment = {
        "PATH": "/usr/lib/rabbitmq/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": f"hireling-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(cluster_port),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none.conf"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_LOG_BASE": str(folder / "log"),  # for the crash dump
        # Two schedulers are plenty, and leave the cores to what is tested.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none "
        "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    epmd = Server(name="epmd", command=["epmd"], environment=environment, user=user, port=epmd_port)
    return [epmd, replace(epmd, name="rabbitmq", command=[str(RABBITMQ)], port=port)]


def mosquitto(root: Path, *, port: int, password: str, listener: str = "") -> Server:
    """Say how to serve the MQTT broker, with one account, `stack`, that may do what all others may together.

    `listener` adds settings to its listener. Its folder holds `operators` (that account), `passwords` (the
    same, until somebody keeps it), `acl` and `mosquitto.pid`.
    """
    user = unprivileged("mosquitto")
    folder = home(root, name="mosquitto", user=user)
    settings = (INFRA / "mosquitto" / "mosquitto.conf").read_text()
    place = (
        f"pid_file {folder}/mosquitto.pid\npassword_file {folder}/passwords\nacl_file {folder}/acl\n"
        f"persistence_location {folder}/\nlistener {port} 127.0.0.1\n{listener}"
    )
    write_for(user, folder / "mosquitto.conf", settings + place)
    everything = f"\nuser {ALL_POWERFUL}\ntopic readwrite hireling/#\n"
    write_for(user, folder / "acl", (INFRA / "mosquitto" / "acl").read_text() + everything)
    write_for(user, folder / "operators", account(ALL_POWERFUL, password))
    if not (folder / "passwords").exists():
        write_for(user, folder / "passwords", (folder / "operators").read_text())
    command = [mosquitto_program() or "mosquitto", "-c", str(folder / "mosquitto.conf")]
    return Server(name="mosquitto", command=command, environment={"HOME": str(folder)}, user=user, port=port)


def account(username: str, password: str) -> str:
    """Return a line of a password file, in the format for one salted SHA-512."""
    salt = secrets.token_bytes(12)
    digest = hashlib.sha512(password.encode() + salt).digest()
    return f"{username}:$6${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def answers(server: Server) -> bool:
    """Say whether the server serves: not only that its port is open."""
    if server.name == "postgres":
        ask = [str(postgres_programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(server.port)]
        return subprocess.run(ask, check=False, timeout=10).returncode == 0
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
            if server.name == "rabbitmq":
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return connection.recv(1) == b"\x01"  # a method frame: Connection.Start
            return True
    except OSError:
        return False
