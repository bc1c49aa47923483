"""Who loads the stack; run by ``python -m loadtests.load``, in locust's own environment.

Renters search as people do (`Searching`) and rent (`Renting`): real agents rent, in a process beside this one
(``loadtests.load.renters``), and tell of every request and every wait. Owners look after their machines
(`Owner`). Machines talk MQTT from a process of their own (``loadtests.load.machines``); `Machines` takes down
what they tell.
"""

import json
import os
import random
import socket
import time
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, User, constant_throughput, events, task
from locust.env import Environment
from locust.exception import StopUser

FOLDER = Path(os.environ["LOAD_FOLDER"])
SEARCHES_A_SECOND = float(os.environ.get("LOAD_SEARCHES_A_SECOND", "50"))
SEARCHERS = int(os.environ.get("LOAD_SEARCHERS", "25"))
OWNERS = int(os.environ.get("LOAD_OWNERS", "4"))
RENTERS = int(os.environ.get("LOAD_RENTERS", "1"))
KINDS = os.environ.get("LOAD_KINDS", "appliance").split(",")
CITIES = os.environ.get("LOAD_CITIES", "").split(",")
MAKERS = os.environ.get("LOAD_MAKERS", "").split(",")
LONGEST_RENTAL_SECONDS = 300
PAGE = 50

_arrivals: list[float] = []
_coming = iter(_arrivals)
_still_renting = RENTERS
_began = 0.0
_lines: list[socket.socket] = []


@events.test_start.add_listener
def on_start(environment: Environment, **_: Any) -> None:
    """Note when it began, and when renters come."""
    global _coming, _began, _still_renting  # noqa: PLW0603 - locust's users share a module
    path = FOLDER / "arrivals.json"
    _coming = iter(json.loads(path.read_text()) if path.exists() else [])
    _began, _still_renting = time.time(), RENTERS


@events.quitting.add_listener
def on_quitting(environment: Environment, **_: Any) -> None:
    """Leave the figures of everything that was measured, as exactly as locust has them."""
    entries = [
        {
            "kind": entry.method,
            "name": entry.name,
            "count": entry.num_requests,
            "failures": entry.num_failures,
            "times_ms": dict(entry.response_times),
            "a_second": entry.total_rps,
        }
        for entry in environment.stats.entries.values()
    ]
    errors = [
        {"name": f"{error.method} {error.name}", "error": str(error.error), "count": error.occurrences}
        for error in environment.stats.errors.values()
    ]
    report = {
        "entries": entries,
        "errors": errors,
        "http_a_second": _http_a_second(environment),
        "began": _began,
    }
    (FOLDER / "locust.json").write_text(json.dumps(report))


def _http_a_second(environment: Environment) -> float:
    asked = [entry for entry in environment.stats.entries.values() if entry.method in {"GET", "POST", "HTTP"}]
    seconds = {second for entry in asked for second in entry.num_reqs_per_sec}
    return sum(entry.num_requests for entry in asked) / (max(seconds) - min(seconds) + 1) if seconds else 0.0


class Searching(FastHttpUser):
    """A renter who looks for a machine: by class, by area, by maker, what is online, page after page."""

    fixed_count = SEARCHERS
    cursor: str | None = None

    def on_start(self) -> None:
        """Begin at any moment."""
        self._next_at = time.monotonic()
        gevent.sleep(self.wait_time())

    def wait_time(self) -> float:
        """Return the seconds until it searches again: as many a second as told, each at a moment of its own.

        Users at a steady pace come to search in step once one slow moment has held up all of them, and then
        wait for each other again and again, as no people do.
        """
        self._next_at += random.expovariate(SEARCHES_A_SECOND / SEARCHERS)
        return max(0.0, self._next_at - time.monotonic())

    @task(4)
    def by_class(self) -> None:
        """Look for a kind of machine, and leaf on through it."""
        self.search("class", kind=random.choice(KINDS))

    @task(3)
    def by_class_and_area(self) -> None:
        """Look for a kind of machine in a city."""
        self.search("class and area", kind=random.choice(KINDS), q=random.choice(CITIES))

    @task(2)
    def by_maker_and_area(self) -> None:
        """Look for words."""
        self.search("words", q=f"{random.choice(MAKERS)} {random.choice(CITIES)}")

    @task(2)
    def online_now(self) -> None:
        """Look for what can be had at once."""
        self.search("online", kind=random.choice(KINDS), online="true")

    @task(1)
    def next_page(self) -> None:
        """Leaf on."""
        if self.cursor is None:
            self.search("newest")
        else:
            self.search("next page", cursor=self.cursor)

    def search(self, what: str, **wanted: str) -> None:
        """Search, and keep the way to the next page."""
        query = "&".join(f"{name}={value.replace(' ', '+')}" for name, value in wanted.items())
        path = f"/v1/listings?limit={PAGE}&{query}"
        with self.client.get(path, name=f"/v1/listings by {what}", catch_response=True) as response:
            page = response.json() if response.status_code == 200 else None
            if page is None:
                response.failure(f"{response.status_code}: {response.text[:200]}")
                return
            for each in page["items"]:
                if "kind" in wanted and each["document"]["kind"] != wanted["kind"]:
                    response.failure(f"asked for {wanted['kind']}, found {each['document']['kind']}")
            if what == "class" and not page["items"]:
                response.failure("no machine of a kind of which there are thousands")
        self.cursor = page["next"]


class Owner(FastHttpUser):
    """An owner who looks after a machine and what it earns."""

    fixed_count = OWNERS
    wait_time = constant_throughput(0.5)

    def on_start(self) -> None:
        """Choose a machine."""
        lines = (FOLDER / "machines.jsonl").read_text().splitlines()
        self.machine = json.loads(random.choice(lines))

    @task(2)
    def look_at_machine(self) -> None:
        """See whether it is online, and when it is promised."""
        device = self.machine["device"]
        self.client.get(f"/v1/devices/{device}", name="/v1/devices/…")
        self.client.get(f"/v1/devices/{device}/calendar", name="/v1/devices/…/calendar")

    @task(2)
    def look_at_rentals(self) -> None:
        """See what it does and has done."""
        self.client.get(f"/v1/rentals?device={self.machine['device']}&limit=10", name="/v1/rentals")

    @task(1)
    def look_at_money(self) -> None:
        """See what it earned."""
        self.client.get(f"/v1/wallets/{self.machine['owner']}", name="/v1/wallets/…")


class Renting(User):
    """A renter who comes when the next one is due, and rents to the end."""

    fixed_count = RENTERS

    @task
    def rent(self) -> None:
        """Rent once, or leave where nobody is due any more."""
        due = next(_coming, None)
        if due is None:
            self.leave()
            return
        gevent.sleep(max(0.0, _began + due - time.time()))
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(LONGEST_RENTAL_SECONDS)
            line.connect(str(FOLDER / "renters.sock"))
            line.sendall(b"rent\n")
            with line.makefile() as told:
                for word in told:
                    if word == "\n":
                        return
                    take_down(self.environment, word)
        take_down(
            self.environment, json.dumps({"kind": "RENTAL", "name": "trouble", "ms": 0, "error": "cut off"})
        )

    def leave(self) -> None:
        """Go; the last one ends the run."""
        global _still_renting  # noqa: PLW0603 - locust's users share a module
        _still_renting -= 1
        if not _still_renting and self.environment.runner is not None:
            for line in _lines:
                line.shutdown(socket.SHUT_RDWR)
            # Not by this greenlet, which the end waits for.
            gevent.spawn_later(0.2, self.environment.runner.quit)
        raise StopUser


class Machines(User):
    """Takes down what the machines tell of their readings."""

    fixed_count = 1

    @task
    def listen(self) -> None:
        """Listen until the run ends."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(FOLDER / "machines.sock"))
            _lines.append(line)
            with line.makefile() as told:
                for word in told:
                    take_down(self.environment, word)
        raise StopUser


def take_down(environment: Environment, word: str) -> None:
    """Give locust what an agent told of."""
    told = json.loads(word)
    environment.events.request.fire(
        request_type=told["kind"],
        name=told["name"],
        response_time=told["ms"],
        response_length=0,
        exception=RuntimeError(told["error"]) if told["error"] else None,
        context={},
    )
