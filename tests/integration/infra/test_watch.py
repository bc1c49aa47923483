"""Mosquitto as containers run it: it follows its password file though nobody signals it."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiomqtt import Client
from aiomqtt.exceptions import MqttConnectError

from hireling.rental.broker_users import device_user
from services.metering.access import hash_of
from services.metering.password_file import write_passwords
from tests.chain import free_port
from tests.integration.metering.servers import answers, wait_until

pytestmark = pytest.mark.stack

INFRA = Path(__file__).parents[3] / "infra" / "mosquitto"
MINE, OTHERS = (device_user("0x" + pair * 32) for pair in ("1a", "2b"))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Run Mosquitto on a port, its passwords in `tmp_path`."""
    port, private = free_port(), tmp_path / "private"
    tmp_path.chmod(0o777)
    configuration = tmp_path / "mosquitto.conf"
    configuration.write_text(
        f"allow_anonymous false\nlistener {port} 127.0.0.1\nuser root\n"
        f"password_file {private}/passwords\nacl_file {private}/acl\n"
    )
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "PASSWORDS": str(tmp_path / "passwords"),
        "ACL": str(INFRA / "acl"),
        "PRIVATE": str(private),
    }
    broker = subprocess.Popen(["sh", str(INFRA / "watch.sh"), "-c", str(configuration)], env=environment)
    try:
        yield port
    finally:
        broker.terminate()
        broker.wait(timeout=30)
    assert not answers(port)


def is_let_in(port: int, username: str) -> bool:
    """Return whether the broker lets this user in by the password `secret`."""

    async def enter() -> bool:
        try:
            async with Client("127.0.0.1", port, username=username, password="secret"):
                return True
        except MqttConnectError:
            return False

    return asyncio.run(enter())


class TestWatch:
    def test_waits_for_the_file_and_follows_it(self, port: int, tmp_path: Path) -> None:
        passwords = tmp_path / "passwords"
        assert not answers(port)
        write_passwords(passwords, [(MINE, hash_of("secret"))])
        wait_until(lambda: answers(port) and is_let_in(port, MINE))
        assert not is_let_in(port, OTHERS)
        write_passwords(passwords, [(OTHERS, hash_of("secret"))])
        wait_until(lambda: is_let_in(port, OTHERS))
        assert not is_let_in(port, MINE)

    def test_keeps_its_copies_to_itself(self, port: int, tmp_path: Path) -> None:
        write_passwords(tmp_path / "passwords", [(MINE, hash_of("secret"))])
        wait_until(lambda: answers(port))
        assert {path.stat().st_mode & 0o077 for path in (tmp_path / "private").iterdir()} == {0}
