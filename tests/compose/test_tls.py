"""MQTT and the bus over TLS: a machine that knows the authority works, one that does not is turned away."""

import ssl
from pathlib import Path

import pytest

from tests.compose.containers import Containers
from tests.compose.rentals import all_exact, assert_all_is_well, rent
from tests.e2e.journey import START_WITHIN, Sides, a_trace
from tests.e2e.programs import running

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1800)]


@pytest.fixture
def authority(encrypted: Containers, tmp_path: Path) -> Path:
    """Return the file of the authority that signed the broker's certificate."""
    path = tmp_path / "ca.pem"
    path.write_text(encrypted("exec", "--no-TTY", "mosquitto", "cat", "/certificates/ca.pem"))
    return path


def test_a_rental_over_tls(
    encrypted: Containers, authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = encrypted.gateway()
    assert Sides(gateway, tmp_path).get("/v1/platform")["mqtt"]["tls"]
    monkeypatch.setenv(ssl.get_default_verify_paths().openssl_cafile_env, str(authority))
    with all_exact(gateway, tmp_path) as rentals:
        rentals.append(rent(gateway, tmp_path / "rental"))
    assert_all_is_well(encrypted)


def test_a_machine_without_the_authority_hangs_up(encrypted: Containers, tmp_path: Path) -> None:
    sides = Sides(encrypted.gateway(), tmp_path)
    trace = a_trace(tmp_path / "motor.csv", rows=10)
    with running(*sides.device_arguments(*trace.driver(1)), log=tmp_path / "device.log") as device:
        device.wait_until(
            lambda event: "certificate verify failed" in event.get("reason", ""),
            within=START_WITHIN,
            what="certificate refused",
        )
    assert not device.of("broker_connected")
