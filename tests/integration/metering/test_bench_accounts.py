"""The names that benchmarks get for their devices."""

import time

import pytest

from loadtests.bench.accounts import let_in
from loadtests.bench.mqtt_line import PUBACK, Line, publish_packet

pytestmark = pytest.mark.stack


def a_line(url: str) -> Line:
    """Connect, once Mosquitto has read the file."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return Line(url, client_id="")
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_let_each_device_in_by_its_own() -> None:
    devices = [f"0x{number:064x}" for number in range(1_000)]
    urls = let_in(devices)
    assert list(urls) == devices
    line = a_line(urls[devices[-1]])
    line.send(publish_packet(f"hireling/{devices[-1]}/readings", b"7", 1))
    assert [one.kind for one in line.arrived()] == [PUBACK]
    line.close()
    let_in([])
