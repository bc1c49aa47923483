"""MQTT over TLS on a real Mosquitto: the agents' line and the ingests' enter by a certificate that holds."""

import asyncio
import importlib.util
import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography import x509

from hireling.mqtt_line import Broker, MqttLine
from services.chassis.broker_line import BrokerLost, open_line
from services.chassis.mqtt_packets import Version
from services.chassis.mqtt_settings import MqttSettings
from tests.chain import free_port
from tests.integration.metering.servers import answers, wait_until

CONTAINERS = Path(__file__).parents[3] / "infra" / "containers"
NOW = datetime.now(UTC)
WITHIN = 60.0  # seconds


def loaded() -> ModuleType:
    """Return make_certificates.py, which is a program and in no package."""
    spec = importlib.util.spec_from_file_location("make_certificates", CONTAINERS / "make_certificates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_certificates = loaded()


class TestCertificates:
    def test_are_made_once(self, tmp_path: Path) -> None:
        assert make_certificates.write_certificates(tmp_path, ["localhost"], now=NOW)
        before = (tmp_path / "fullchain.pem").read_bytes()
        assert not make_certificates.write_certificates(tmp_path, ["localhost"], now=NOW)
        assert (tmp_path / "fullchain.pem").read_bytes() == before

    @pytest.mark.parametrize(
        ("names", "later"), [(["other.example"], timedelta()), (["localhost"], timedelta(days=380))]
    )
    def test_are_made_again_for_another_name_and_in_time(
        self, tmp_path: Path, names: list[str], later: timedelta
    ) -> None:
        make_certificates.write_certificates(tmp_path, ["localhost"], now=NOW)
        assert make_certificates.write_certificates(tmp_path, names, now=NOW + later)
        made = x509.load_pem_x509_certificate((tmp_path / "fullchain.pem").read_bytes())
        assert made.not_valid_after_utc > NOW + later + timedelta(days=300)

    def test_of_somebody_else_stay(self, tmp_path: Path) -> None:
        (tmp_path / "fullchain.pem").write_text("the operator's own")
        assert not make_certificates.write_certificates(tmp_path, ["localhost"], now=NOW)
        assert (tmp_path / "fullchain.pem").read_text() == "the operator's own"


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run Mosquitto with the containers' TLS listener and the certificates in `folder`; yield its port."""
    port = free_port()
    _, marked, listener = (CONTAINERS / "mosquitto-tls.conf").read_text().partition("listener 8883\n")
    assert marked
    here = listener.replace("/certificates", str(folder))
    configuration = folder / "mosquitto.conf"
    configuration.write_text(f"listener {port} 127.0.0.1\n{here}allow_anonymous true\nuser root\n")
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    broker = subprocess.Popen(["mosquitto", "-c", str(configuration)], env=environment)
    try:
        wait_until(lambda: answers(port))
        yield port
    finally:
        broker.terminate()
        broker.wait(timeout=30)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Run a broker whose certificate is for localhost."""
    make_certificates.write_certificates(tmp_path, ["localhost"], now=NOW)
    with mosquitto(tmp_path) as port:
        yield port


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have OpenSSL know the authority, as `SSL_CERT_FILE=ca.pem hireling …` does."""
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(tmp_path / "ca.pem"))


class Nobody:
    """Hears nothing."""

    def on_message(self, topic: str, payload: bytes) -> None:
        """Ignore it."""

    def on_line_up(self) -> None:
        """Ignore it."""


def first_word_of_a_machine(host: str, port: int) -> tuple[str, str]:
    """Return what a machine's line announces first, and the reason where there is one."""

    async def connect() -> tuple[str, str]:
        said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def announce(event: str, **fields: Any) -> None:
            said.put_nowait((event, str(fields.get("reason", ""))))

        line = MqttLine(Broker(host=host, port=port, tls=True), topics=["a"], announce=announce)
        task = asyncio.create_task(line.run(Nobody()))
        try:
            async with asyncio.timeout(WITHIN):
                return await said.get()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return asyncio.run(connect())


def ingest_enters(host: str, port: int) -> None:
    """Open an ingest's line, and hang up. Raises BrokerLost."""

    async def enter() -> None:
        settings = MqttSettings(mqtt_url=f"mqtts://{host}:{port}")
        line = await open_line(settings, most_in_hand=1, most_bytes_in_hand=1, versions=[Version.V5])
        await line.close()

    asyncio.run(enter())


@pytest.mark.stack
# After a handshake that failed, paho leaves its socket to the collector.
@pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <ssl\.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
class TestBroker:
    @pytest.mark.usefixtures("trusting")
    def test_lets_in_who_knows_its_authority(self, port: int) -> None:
        assert first_word_of_a_machine("localhost", port) == ("broker_connected", "")
        ingest_enters("localhost", port)

    def test_is_refused_by_who_does_not(self, port: int) -> None:
        event, reason = first_word_of_a_machine("localhost", port)
        assert event == "broker_lost"
        assert "certificate verify failed" in reason
        with pytest.raises(BrokerLost, match="certificate verify failed"):
            ingest_enters("localhost", port)

    @pytest.mark.usefixtures("trusting")
    def test_is_refused_under_another_name(self, port: int) -> None:
        event, reason = first_word_of_a_machine("127.0.0.1", port)
        assert event == "broker_lost"
        assert "certificate verify failed" in reason
