"""Private RabbitMQ, PostgreSQL and Mosquitto on free ports, for the life of one command.

    python infra/stack.py run -- COMMAND ...   start all, run COMMAND with their addresses, stop all
    python infra/stack.py keep FOLDER -- COMMAND ...
                                               the same on the data, ports and passwords that FOLDER keeps
    python infra/stack.py stop FOLDER          stop the command and the servers that run on FOLDER
    python infra/stack.py kill SERVER          kill -9 rabbitmq, postgres or mosquitto
    python infra/stack.py start SERVER         start it again on its data and port, return when it answers
    python infra/stack.py pause SERVER         stop all its processes where they are (SIGSTOP)
    python infra/stack.py resume SERVER        let them go on
    python infra/stack.py fill SERVER          have rabbitmq or mosquitto find its disk full
    python infra/stack.py empty SERVER         give it room again
    python infra/stack.py vhost NAME           make a bus of its own within RabbitMQ, named by /NAME

A disk is filled without root: RabbitMQ is told to want more room than there is, which blocks publishers as a
full disk does; Mosquitto's folder takes no new file.

COMMAND finds STACK_AMQP_URI, STACK_POSTGRES_URL (superuser), STACK_MQTT_URL (with an account that may publish
and hear everything), STACK_MQTT_FOLDER (Mosquitto's passwords) and STACK_CONTROL: the file by which `kill`
and `start` find the servers of their run. Logs stay in build/test/stack/, or in FOLDER/logs. Data lives in a
temporary directory, because the users the servers run as may not enter this tree; what FOLDER keeps is in
FOLDER/servers, which for root is a link to a folder below /var/lib/hireling-stack.
"""

import contextlib
import ctypes
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from kept import Place, kept, passing, stop
from servers import (
    ALL_POWERFUL,
    RABBITMQ,
    Server,
    StackError,
    answers,
    mosquitto,
    postgres,
    rabbitmq,
    require_servers,
)

KILLABLE = ("rabbitmq", "postgres", "mosquitto")
START_SECONDS = 90.0
STOP_SECONDS = 20.0
COMMAND_STOP_SECONDS = 60.0  # it may have processes of its own to drain
MORE_THAN_ANY_DISK, RABBITMQS_DEFAULT_LIMIT = "1000000GB", "50MB"
READ_ONLY, PRIVATE = 0o500, 0o700
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Return True as soon as the condition holds, False at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def launch(server: Server) -> Server:
    """Start the server and return it with its process, once it answers.

    Raises StackError with the end of its log when it ends or stays silent.
    """
    log_path = Path(server.log)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            server.command,
            env=server.environment,
            user=server.user,
            group=pwd.getpwnam(server.user).pw_gid if server.user else None,
            extra_groups=[] if server.user else None,
            cwd=server.environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    up = wait_until(lambda: process.poll() is not None or answers(server), seconds=START_SECONDS)
    if not up or process.poll() is not None:
        terminate([replace(server, pid=process.pid)], with_signal=signal.SIGKILL)
        raise StackError(f"{server.name} did not start:\n{log_path.read_text()[-2000:]}")
    return replace(server, pid=process.pid)


def family(pid: int) -> list[int]:
    """Return the process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended while we looked
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for each in found:
        found.extend(children.get(each, []))
    return [each for each in found if Path(f"/proc/{each}").exists()]


def reap() -> None:
    """Collect children that have ended, so that their numbers disappear."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def terminate(servers: list[Server], *, with_signal: int | None = None, within: float = STOP_SECONDS) -> None:
    """Stop servers and all their processes; what outlives its time is killed. Returns when none is left."""
    alive = [server for server in servers if server.pid]  # number 0 would mean our own group
    pids = [pid for server in alive for pid in family(server.pid)]

    def gone() -> bool:
        reap()
        return not any(Path(f"/proc/{pid}").exists() for pid in pids)

    if with_signal is None:
        for server in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid, server.stop_signal)
    if with_signal is not None or not wait_until(gone, seconds=within):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if not wait_until(gone, seconds=STOP_SECONDS):
        raise StackError(f"still there after kill -9: {pids}")


def save(control: Path, servers: list[Server]) -> None:
    """Write the control file whole or not at all."""
    draft = control.with_suffix(".new")
    draft.write_text(json.dumps({server.name: asdict(server) for server in servers}, indent=2))
    draft.replace(control)


def load(control: Path) -> list[Server]:
    """Read the servers of a run."""
    return [Server(**fields) for fields in json.loads(control.read_text()).values()]


def adopt_orphans() -> None:
    """Become the parent of every orphan below us: a server that a test restarted is then ours to collect."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_us() -> None:
    """Have the system ask this process to end when the one that started it does, even by -9."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@contextlib.contextmanager
def running(place: Place) -> Iterator[dict[str, str]]:
    """Start every server in this place, yield the variables that name them, and stop every server."""
    amqp, cluster, epmd, sql, mqtt = place.ports
    root, password, control = place.root, place.password, place.control
    servers = rabbitmq(root, port=amqp, cluster_port=cluster, epmd_port=epmd)
    servers += [
        postgres(root, port=sql, password=password),
        mosquitto(root, port=mqtt, password=password),
    ]
    end_survivors(control)
    save(control, [replace(server, log=str(place.logs / f"{server.name}.log")) for server in servers])
    try:
        for server in load(control):
            started = time.monotonic()
            replace_in(control, launch(server))
            print(
                f"stack: {server.name} on port {server.port} after {time.monotonic() - started:.1f} s",
                flush=True,
            )
        yield {
            "STACK_AMQP_URI": f"amqp://guest:guest@127.0.0.1:{amqp}//",
            "STACK_POSTGRES_URL": f"postgresql+psycopg://postgres:{password}@127.0.0.1:{sql}/postgres",
            "STACK_MQTT_URL": f"mqtt://{ALL_POWERFUL}:{password}@127.0.0.1:{mqtt}",
            "STACK_MQTT_FOLDER": str(root / "mosquitto"),
            "STACK_CONTROL": str(control),
        }
    finally:
        terminate(list(reversed(load(control))))
        save(control, [replace(server, pid=0) for server in load(control)])


def end_survivors(control: Path) -> None:
    """End the servers of a run that was killed: they hold the ports and the data."""
    if control.exists():
        terminate([server for server in load(control) if is_its_process(server)])


def is_its_process(server: Server) -> bool:
    """Say whether the process of this number is the server still, and not one that came later."""
    with contextlib.suppress(OSError):
        home_of = f"HOME={server.environment['HOME']}".encode()
        return bool(server.pid) and home_of in Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
    return False


def replace_in(control: Path, server: Server) -> None:
    """Record a server's new process."""
    save(control, [server if each.name == server.name else each for each in load(control)])


def run(command: list[str], where: contextlib.AbstractContextManager[Place]) -> int:
    """Run the command on servers in this place; return its exit status."""
    require_servers()
    adopt_orphans()
    with where as place, running(place) as variables:
        environment = {**os.environ, **variables}  # noqa: TID251 (handed on, not read)
        process = subprocess.Popen(command, env=environment, preexec_fn=end_with_us)  # noqa: PLW1509 - we have one thread
        try:
            while True:
                pid, status = os.waitpid(-1, 0)  # killed servers too: a zombie's number would look alive
                if pid == process.pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    return process.returncode
        finally:
            if process.returncode is None:
                terminate_command(process.pid)


def terminate_command(pid: int) -> None:
    """Stop the command as a server is stopped, when we are told to leave before it ends."""
    command = Server(name="command", command=[], environment={}, user=None, port=0, pid=pid)
    terminate([command], within=COMMAND_STOP_SECONDS)


def named(name: str) -> tuple[Path, Server]:
    """Return the control file of the current run and one of its servers."""
    path = os.environ.get("STACK_CONTROL")  # noqa: TID251 (how `run` tells its command's children)
    if not path:
        raise StackError("STACK_CONTROL is not set: use this inside `stack.py run -- ...`")
    for server in load(Path(path)):
        if server.name == name and name in KILLABLE:
            return Path(path), server
    raise StackError(f"no server {name}; there are {', '.join(KILLABLE)}")


def kill(name: str) -> None:
    """Kill -9 the server and all its processes; return when they are gone."""
    control, server = named(name)
    terminate([server], with_signal=signal.SIGKILL)
    replace_in(control, replace(server, pid=0))


def start(name: str) -> None:
    """Start a killed server on its data and port; return when it answers."""
    control, server = named(name)
    if server.pid:
        raise StackError(f"{name} runs as {server.pid}")
    replace_in(control, launch(server))


def pause(name: str) -> None:
    """Stop every process of the server where it is."""
    _send_all(name, signal.SIGSTOP)


def resume(name: str) -> None:
    """Let a paused server go on."""
    _send_all(name, signal.SIGCONT)


def _send_all(name: str, number: signal.Signals) -> None:
    _, server = named(name)
    if not server.pid:
        raise StackError(f"{name} does not run")
    for pid in family(server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def fill(name: str) -> None:
    """Have a server find its disk full."""
    match name:
        case "rabbitmq":
            tell_rabbitmq("set_disk_free_limit", MORE_THAN_ANY_DISK)
        case "mosquitto":
            _folder_of_mosquitto().chmod(READ_ONLY)
        case _:
            raise StackError(f"no way to fill the disk of {name}")


def empty(name: str) -> None:
    """Give a server room again."""
    match name:
        case "rabbitmq":
            tell_rabbitmq("set_disk_free_limit", RABBITMQS_DEFAULT_LIMIT)
        case "mosquitto":
            _folder_of_mosquitto().chmod(PRIVATE)
        case _:
            raise StackError(f"no way to fill the disk of {name}")


def _folder_of_mosquitto() -> Path:
    return Path(named("mosquitto")[1].environment["HOME"])


def add_vhost(name: str) -> None:
    """Make a virtual host, in which queues of the same name are others, and let the services' user in."""
    tell_rabbitmq("add_vhost", name)
    tell_rabbitmq("set_permissions", "-p", name, "guest", ".*", ".*", ".*")


def tell_rabbitmq(*command: str) -> None:
    """Run a command of rabbitmqctl."""
    _, server = named("rabbitmq")
    done = subprocess.run(
        [str(RABBITMQ.with_name("rabbitmqctl")), "--quiet", *command],
        env=server.environment,
        user=server.user,
        group=pwd.getpwnam(server.user).pw_gid if server.user else None,
        extra_groups=[] if server.user else None,
        cwd=server.environment["HOME"],
        check=False,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    if done.returncode != 0:
        raise StackError(f"rabbitmqctl {' '.join(command)}: {done.stdout}{done.stderr}")


def stop_once(_signal: int, _frame: FrameType | None) -> None:
    """Leave so that servers are stopped, however often and by whomever this is told."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Do what the command line says; return the exit status."""
    signal.signal(signal.SIGINT, stop_once)
    signal.signal(signal.SIGTERM, stop_once)
    try:
        match arguments:
            case ["run", "--", *command] if command:
                return run(command, passing())
            case ["keep", folder, "--", *command] if command:
                with contextlib.suppress(KeyboardInterrupt):  # its usual end
                    return run(command, kept(Path(folder)))
            case ["stop", folder]:
                print(stop(Path(folder)))
            case ["kill", name]:
                kill(name)
            case ["start", name]:
                start(name)
            case [("pause" | "resume" | "fill" | "empty") as verb, name]:
                {"pause": pause, "resume": resume, "fill": fill, "empty": empty}[verb](name)
            case ["vhost", name]:
                add_vhost(name)
            case _:
                print(__doc__, file=sys.stderr)
                return 64
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
