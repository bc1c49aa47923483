"""A load generator in its own process: ``python -m loadtests.bench.generator URL FILE RATE SECONDS``.

FILE holds the pickled letters; RATE is letters a second, 0 for as fast as the broker takes them; all are
published again and again for SECONDS, 0 for once. It prints one JSON object: how long it took until all was
durable, and how long after its first sending each letter was. What is not acknowledged within its time is
sent again, as a device does.
"""

import contextlib
import json
import pickle
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from loadtests.bench.fleet import Letter
from loadtests.bench.mqtt_line import PACKET_IDS, PUBACK, Arrived, Line, publish_packet

WINDOW = 500
BURST = 50
SILENCE_SECONDS = 8.0
GIVE_UP_SECONDS = 180.0
RECONNECT_SECONDS = 0.2


class Acks:
    """How far each rental is durable, and since when."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._line = self._connected()
        self.durable: dict[str, list[tuple[int, float]]] = {}
        self.reached: dict[str, int] = {}
        self.last_news = time.monotonic()
        threading.Thread(target=self._listen, daemon=True).start()

    def _connected(self) -> Line:
        line = connected(self._url, client_id="bench-acks")
        line.subscribe("hireling/+/acks")
        return line

    def _listen(self) -> None:
        while True:
            try:
                arrived = self._line.arrived()
                self._note(arrived)
                self._line.acknowledge([one.packet_id for one in arrived if one.packet_id])
            except OSError:
                self._line = self._connected()

    def _note(self, arrived: Sequence[Arrived]) -> None:
        now = time.monotonic()
        for one in arrived:
            ack = json.loads(one.payload)
            rental_id, seq = ack["rental_id"], int(ack["seq"])
            if seq > self.reached.get(rental_id, -1):
                self.reached[rental_id] = seq
                self.durable.setdefault(rental_id, []).append((seq, now))
                self.last_news = now


class Sender:
    """Publishes letters with a window of unconfirmed ones.

    What a lost connection had in flight is not repeated here.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._line = connected(url, client_id="bench-sender")
        self._room = threading.Semaphore(WINDOW)
        self._packet_id = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                confirmed = sum(1 for one in self._line.arrived() if one.kind == PUBACK)
            except OSError:
                self._line = connected(self._url, client_id="bench-sender")
                confirmed, self._room = 0, threading.Semaphore(WINDOW)
            if confirmed:
                self._room.release(confirmed)

    def send(self, letters: Sequence[Letter]) -> None:
        """Publish letters in one write."""
        packets = []
        for letter in letters:
            while not self._room.acquire(timeout=RECONNECT_SECONDS):
                pass  # the line was lost, and the room is another since
            self._packet_id = self._packet_id % PACKET_IDS + 1
            packets.append(publish_packet(letter.topic, letter.payload, self._packet_id))
        with contextlib.suppress(OSError):  # `_listen` connects again, and what is missing is sent again
            self._line.send(b"".join(packets))


def connected(url: str, *, client_id: str) -> Line:
    """Connect, again and again while nobody answers. Raises TimeoutError."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < give_up:
        try:
            # Two of one name would throw each other out.
            return Line(url, client_id=f"{client_id}-{secrets.token_hex(4)}")
        except OSError:
            time.sleep(RECONNECT_SECONDS)
    raise TimeoutError(f"no broker answers at {url}")


def paced(letters: Sequence[Letter], sender: Sender, *, rate: float) -> list[float]:
    """Publish all letters at this rate, 0 for no limit; return when each was sent."""
    sent: list[float] = []
    burst = BURST if not rate else max(1, int(rate / 200))
    start = time.monotonic()
    for place in range(0, len(letters), burst):
        due = start + place / rate if rate else 0.0
        while (wait := due - time.monotonic()) > 0:
            time.sleep(wait)
        some = letters[place : place + burst]
        sent += [time.monotonic()] * len(some)
        sender.send(some)
    return sent


def wait_until_durable(letters: Sequence[Letter], sender: Sender, acks: Acks) -> int:
    """Wait until every letter is acknowledged; return how many had to be sent again."""
    again = 0
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while missing := [one for one in letters if acks.reached.get(one.rental_id, -1) < one.seq]:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{len(missing)} of {len(letters)} letters are not durable")
        if time.monotonic() - acks.last_news > SILENCE_SECONDS:
            acks.last_news = time.monotonic()
            again += len(missing)
            for start in range(0, len(missing), BURST):
                sender.send(missing[start : start + BURST])
        time.sleep(0.02)
    return again


def durable_at(letter: Letter, acks: Acks) -> float:
    """Return when the letter's last reading was first known to be durable."""
    return next(at for seq, at in acks.durable[letter.rental_id] if seq >= letter.seq)


def main(url: str, path: str, rate: str, seconds: str) -> None:
    """Publish the letters of a file and print what happened."""
    letters: list[Letter] = pickle.loads(Path(path).read_bytes())  # noqa: S301 - we wrote it
    acks, sender = Acks(url), Sender(url)
    until = time.monotonic() + float(seconds)
    sent = paced(letters, sender, rate=float(rate))
    while time.monotonic() < until:
        paced(letters, sender, rate=float(rate))
    again = wait_until_durable(letters, sender, acks)
    durable = [durable_at(letter, acks) for letter in letters]
    readings = sum(letter.readings for letter in letters)
    lags = sorted(end - start for start, end in zip(sent, durable, strict=True))
    report = {
        "readings": readings,
        "seconds": max(durable) - sent[0],
        "published_seconds": sent[-1] - sent[0],
        "sent_again": again,
        "lag_p50_ms": lags[len(lags) // 2] * 1000,
        "lag_p99_ms": lags[int(len(lags) * 0.99)] * 1000,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:5])
