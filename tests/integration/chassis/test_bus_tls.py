"""The bus over TLS, on a RabbitMQ that speaks nothing else: calls and events, and who is turned away."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kombu import Queue

from services.chassis import publishing
from services.chassis.bus import connect, require_trust
from services.chassis.bus_tls import Untrusted
from services.chassis.migrations import migrate
from services.chassis.publishing import ConfirmedPublisher
from services.chassis.queues import DIRECT, QueueDesk
from services.chassis.rpc import RpcClient
from services.messages.errors import OperatorError, OutcomeUnknown, Unavailable
from tests.integration.chassis.conftest import PACKAGE, answers, end, start_process, wait

pytestmark = pytest.mark.stack

INFRA = Path(__file__).parents[3] / "infra"
# The certificate is for the first of these alone.
NAME, OTHER_NAME = "127.0.0.1", "127.0.0.2"
HEARD = "evt-toy-counter_raised--neighbour.on_counter_raised"
EXIT_CONFIGURATION = 78


def loaded(path: Path) -> ModuleType:
    """Return a program of the stack's, which is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


servers = loaded(INFRA / "servers.py")
make_certificates = loaded(INFRA / "containers" / "make_certificates.py")


@dataclass(frozen=True)
class Bus:
    """A RabbitMQ over TLS: its address, its authority's file, and another authority's."""

    uri: str
    authority: Path
    stranger: Path
    processes: int
    """The number of its processes' group."""

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Stop it where it is for the length of a block."""
        os.killpg(self.processes, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.processes, signal.SIGCONT)

    def trusted_by(self, monkeypatch: pytest.MonkeyPatch, authority: Path | None = None) -> None:
        """Have this process know its authority, or another one alone."""
        monkeypatch.setenv("HIRELING_AMQP_CA", str(authority or self.authority))


@pytest.fixture(scope="module")
def bus() -> Iterator[Bus]:
    """Run RabbitMQ as the containers' configuration has it listen over TLS."""
    folder = Path(tempfile.mkdtemp(prefix="hireling-bus-tls-"))
    folder.chmod(0o755)
    for name in ("ours", "strangers"):
        (folder / name).mkdir()
        make_certificates.write_certificates(folder / name, [NAME], now=datetime.now(UTC))
    port, *ports = servers.free_ports(3)
    listener = (INFRA / "containers" / "rabbitmq-tls.conf").read_text()
    addresses = f"local = {NAME}:{port}\nlisteners.ssl.other = {OTHER_NAME}:{port}"
    listener = listener.replace("default = 5671", addresses)
    listener = listener.replace("/certificates", str(folder / "ours"))
    authority = folder / "ours" / "ca.pem"
    node = servers.rabbitmq(folder, port=port, cluster_port=ports[0], epmd_port=ports[1], listener=listener)
    try:
        with serving(node) as group:
            wait(lambda: speaks_tls(port, authority), timeout=120.0)
            uri = f"amqps://guest:guest@{NAME}:{port}//"
            yield Bus(uri, authority, folder / "strangers" / "ca.pem", group)
    finally:
        shutil.rmtree(folder)


@contextmanager
def serving(node: Sequence[Any]) -> Iterator[int]:
    """Run a server's processes for the length of a block; yield the last one's number."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for server in node:
            as_its_user: dict[str, Any] = {}
            if server.user:
                user = pwd.getpwnam(server.user)
                as_its_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            processes.append(
                subprocess.Popen(
                    server.command,
                    env=server.environment,
                    cwd=server.environment["HOME"],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    start_new_session=True,
                    **as_its_user,
                )
            )
        yield processes[-1].pid
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)


def speaks_tls(port: int, authority: Path) -> bool:
    """Return whether the port proves its name by this authority."""
    context = ssl.create_default_context(cafile=authority)
    try:
        with (
            socket.create_connection((NAME, port), timeout=5) as line,
            context.wrap_socket(line, server_hostname=NAME),
        ):
            return True
    except OSError:
        return False


@pytest.fixture
def databases(tmp_path: Path) -> dict[str, str]:
    """Return the migrated databases of the toy and its neighbour."""
    urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("toy", "neighbour")}
    for name, url in urls.items():
        migrate(name, url=url, package=PACKAGE)
    return urls


def start(
    bus: Bus, databases: dict[str, str], *, authority: Path, log: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start the toy and its neighbour."""
    return start_process(
        log=log,
        HIRELING_AMQP_URI=bus.uri,
        HIRELING_AMQP_CA=str(authority),
        TOY_DATABASE_URL=databases["toy"],
        NEIGHBOUR_DATABASE_URL=databases["neighbour"],
    )


def test_calls_are_answered_and_events_arrive(
    bus: Bus, databases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.trusted_by(monkeypatch)
    client = RpcClient(bus.uri)
    process = start(bus, databases, authority=bus.authority)
    try:
        wait(lambda: answers(client, process), timeout=120.0)
        for value in range(1, 21):
            raised = client.call("toy", "raise_counter", {"name": "a"}, timeout=30.0)
            assert raised == {"name": "a", "value": value}
        wait(lambda: client.call("toy", "heard", "a", timeout=30.0) == 20, timeout=60.0)
        wait(lambda: client.call("neighbour", "heard", "a", timeout=30.0) == 20, timeout=60.0)
        # A handler that fails has its event come again, over connections of Nameko's own.
        client.call("toy", "fail_next", "b", 2, timeout=30.0)
        client.call("toy", "raise_counter", {"name": "b"}, timeout=30.0)
        wait(lambda: client.call("toy", "heard", "b", timeout=30.0) == 1, timeout=60.0)
        assert [depth.messages for depth in QueueDesk(bus.uri).depths([HEARD])] == [0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        client.close()
        end(process)


def test_a_broker_of_another_authority_ends_a_service_at_its_start(
    bus: Bus, databases: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = start(bus, databases, authority=bus.stranger, log=log)
    try:
        assert process.wait(timeout=60) == EXIT_CONFIGURATION
    finally:
        end(process)
    said = log.read_text()
    assert "configuration_wrong" in said
    assert "the message broker's certificate does not hold" in said
    assert "HIRELING_AMQP_CA" in said


def test_a_silent_broker_holds_nobody_up_and_is_found_again(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus.trusted_by(monkeypatch)
    monkeypatch.setattr(publishing, "CONFIRM_TIMEOUT_SECONDS", 2.0)
    publisher, queue = ConfirmedPublisher(bus.uri), Queue("silence", durable=True)

    def publish() -> None:
        publisher.publish({"a": 1}, exchange=DIRECT, routing_key=queue.name, declare=[queue])

    publish()
    with bus.silent(), pytest.raises(OutcomeUnknown, match="connection lost"):
        publish()
    publish()
    publisher.drop()
    assert QueueDesk(bus.uri).depths([queue.name])[0].messages >= 2


class TestWhoIsNotTrusted:
    """Nothing is said to a broker that does not prove its name."""

    def test_by_another_authority(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        bus.trusted_by(monkeypatch, bus.stranger)
        with pytest.raises(Untrusted, match="certificate does not hold"):
            connect(bus.uri)
        with pytest.raises(OperatorError, match="certificate does not hold"):
            require_trust(bus.uri)
        with pytest.raises(Unavailable, match="certificate does not hold"):
            RpcClient(bus.uri).call("toy", "value_of", "a", timeout=5.0)
        with pytest.raises(Unavailable, match="certificate does not hold"):
            QueueDesk(bus.uri).depths([HEARD])

    def test_by_the_systems_authorities(self, bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HIRELING_AMQP_CA", raising=False)
        with pytest.raises(Untrusted, match="certificate does not hold"):
            connect(bus.uri)

    @pytest.mark.parametrize("asked", ["", "?ssl_cert_reqs=none", "?ssl_check_hostname=false"])
    def test_under_another_name_whatever_the_address_asks(
        self, bus: Bus, monkeypatch: pytest.MonkeyPatch, asked: str
    ) -> None:
        bus.trusted_by(monkeypatch)
        with pytest.raises(Untrusted, match="certificate does not hold"):
            connect(bus.uri.replace(NAME, OTHER_NAME) + asked)
