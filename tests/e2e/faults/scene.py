"""A marketplace on the stack under a steady load of rentals; each process has lines of its own to servers."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.chassis.inbox import RETRY_DELAYS_MS
from services.chassis.queues import QueueDesk
from services.chassis.rpc import RpcClient
from services.embedded.children import Child
from services.embedded.marketplace import DATABASES
from services.embedded.stack_market import StackMarketplace, StackSettings
from services.operator import verbs
from services.operator.verbs import Finding
from tests import stack
from tests.chain import DevChain
from tests.e2e.faults.lines import Line, Lines
from tests.e2e.ports import free_ports

PAIRS = 3
CLAIM_EVERY = 2  # seconds
# Every condition has so long to come true: several of these runs may share two cores.
WITHIN = 600.0
LOOK_EVERY = 0.3
ANSWER_WITHIN = 10.0
ASKED_WITHIN = 120.0
RECKONED_WITHIN = 60.0  # a page of rentals, held against the chain
PAGE = 100
MOST_LINES = 40
SERVERS = ("rabbitmq", "postgres", "mosquitto", "chain")
AGENTS = "agents"
# What a process is told of a server, besides the addresses of databases.
TOLD_BY = {"rabbitmq": "HIRELING_AMQP_URI", "mosquitto": "HIRELING_MQTT_URL", "chain": "HIRELING_RPC_URL"}

Event = dict[str, Any]


def until(holds: Callable[[], bool], what: str, *, within: float = WITHIN) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"{within:.0f} s passed without {what}"
        time.sleep(LOOK_EVERY)


class Crowd:
    """The process with all machines and renters."""

    def __init__(self, gateway: str, home: Path) -> None:
        self.home = home
        self._command = [sys.executable, "-m", "tests.e2e.faults.agents", gateway, str(home), str(PAIRS)]
        self._process: subprocess.Popen[str] | None = None
        self._is_renting = False
        self.wrong_by = 0

    @property
    def pid(self) -> int:
        """Return the process's number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start everybody, on the files they left."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "agents.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._tell(f"wrong-by {self.wrong_by}")
        if self._is_renting:
            self.go()

    def go(self) -> None:
        """Have every renter rent, one rental after the other."""
        self._is_renting = True
        self._tell("go")

    def hold(self) -> None:
        """Have them end what is under way and begin nothing."""
        self._is_renting = False
        self._tell("hold")

    def set_wrong(self, seconds: int) -> None:
        """Set everybody's wall clock wrong by so much."""
        self.wrong_by = seconds
        self._tell(f"wrong-by {seconds}")

    def kill(self) -> None:
        """Kill everybody at once (-9)."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()  # closes its input too

    def stop(self) -> None:
        """End everybody, whatever they do."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self.pid, signal.SIGCONT)
            self.kill()

    def events(self) -> list[Event]:
        """Return what everybody announced, in order."""
        path = self.home / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def rentals(self) -> set[str]:
        """Return the ids of all rentals that a renter agreed to."""
        return {event["rental_id"] for event in self.events() if event["event"] == "agreed"}

    def is_idle(self) -> bool:
        """Return whether every renter's last word is that it is free."""
        last = {event["who"]: event["event"] for event in self.events()}
        free = [who for who, word in last.items() if who.startswith("renter") and word == "free"]
        return len(free) == PAIRS

    def _tell(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()


@dataclass
class Scene:
    """Everything that a fault can happen to."""

    market: StackMarketplace
    crowd: Crowd
    lines: Mapping[str, Mapping[str, Line]]
    """By process and server."""
    api: httpx.Client
    databases: Mapping[str, str]
    amqp_uri: str

    @property
    def chain(self) -> DevChain:
        """Return the chain, past all lines."""
        return DevChain.running_at(self.market.settings.chain_port, self.market.settings.deployment)

    @property
    def processes(self) -> tuple[str, ...]:
        """Return the names of the marketplace's own processes."""
        return tuple(child.name for child in self.market.children if child.name != "chain")

    def child(self, name: str) -> Child:
        """Return a process of the marketplace."""
        return self.market.child(name)

    def lines_of(self, name: str) -> list[Line]:
        """Return all lines of a process, or all lines to a server."""
        if name in SERVERS:
            return [line for lines in self.lines.values() for server, line in lines.items() if server == name]
        return list(self.lines[name].values())

    def get(self, path: str) -> Any:
        """Return the gateway's answer."""
        return self.answer(path).json()

    def answer(self, path: str) -> httpx.Response:
        """Return the gateway's answer, asking again where it has none yet, as its callers do."""
        deadline = time.monotonic() + ASKED_WITHIN
        while True:
            try:
                answer = self.api.get(path)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR or time.monotonic() > deadline:
                    return answer.raise_for_status()
            time.sleep(LOOK_EVERY)

    def pages(self, path: str) -> Iterator[Any]:
        """Yield the items of a list, over all its pages."""
        cursor = ""
        while cursor is not None:
            page = self.get(f"{path}?limit=100{f'&cursor={cursor}' if cursor else ''}")
            yield from page["items"]
            cursor = page["next"]

    def operate(self, verb: str) -> Finding:
        """Return what the operator's tool finds. Raises what keeps it from finding out."""
        rpc, desk = RpcClient(self.amqp_uri), QueueDesk(self.amqp_uri)
        try:
            match verb:
                case "health":
                    return verbs.health(rpc, timeout=ANSWER_WITHIN)
                case "queues":
                    return verbs.queues(rpc, desk, timeout=ANSWER_WITHIN)
                case _:
                    return verbs.reconcile(
                        rpc, page=PAGE, timeout=RECKONED_WITHIN, progress=lambda _checked: None
                    )
        finally:
            rpc.close()

    def waits_for_another_try(self) -> int:
        """Return how many events wait because a handler failed at them."""
        rooms = [f"hireling.retry.{delay}" for delay in RETRY_DELAYS_MS]
        return sum(room.messages for room in QueueDesk(self.amqp_uri).depths(rooms))


@contextmanager
def opened(folder: Path) -> Iterator[Scene]:
    """Run a marketplace and its crowd for the length of the block."""
    gateway, chain, *of_lines = free_ports(2 + MOST_LINES)
    with ExitStack() as cleanup:
        settings = StackSettings(
            hireling_home=folder / "market",
            gateway_port=gateway,
            chain_port=chain,
            settlement_claim_every=CLAIM_EVERY,
            amqp_uri=stack.fresh_bus("faults"),
            mqtt_url=stack.mqtt_address(),
            mqtt_folder=stack.mqtt_folder(),
            databases={name: cleanup.enter_context(stack.fresh_database(name)) for name in DATABASES},
        )
        market = StackMarketplace(settings)
        lines = Lines(of_lines)
        cleanup.callback(lines.close)
        ways = _laid(lines, market, settings)
        api = cleanup.enter_context(httpx.Client(base_url=settings.gateway_url, timeout=ANSWER_WITHIN))
        crowd = Crowd(f"http://127.0.0.1:{ways[AGENTS]['gateway'].port}", folder / "crowd")
        market.start()
        cleanup.callback(market.stop)
        crowd.start()
        cleanup.callback(crowd.stop)
        scene = Scene(market, crowd, ways, api, settings.databases, settings.amqp_uri)
        until(crowd.is_idle, "a crowd that has come")
        yield scene


def _laid(lines: Lines, market: StackMarketplace, settings: StackSettings) -> dict[str, dict[str, Line]]:
    """Give each process lines of its own; the crowd's are those that the gateway tells it of."""
    targets = {
        "rabbitmq": int(urlsplit(settings.amqp_uri).port or 0),
        "postgres": int(urlsplit(settings.databases["gateway"]).port or 0),
        "mosquitto": int(urlsplit(settings.mqtt_url).port or 0),
        "chain": settings.chain_port,
    }
    ways: dict[str, dict[str, Line]] = {
        AGENTS: {
            server: lines.to(target, name=f"{AGENTS} to {server}")
            for server, target in {
                "mosquitto": targets["mosquitto"],
                "chain": targets["chain"],
                "gateway": settings.gateway_port,
            }.items()
        }
    }
    for child in market.children[1:]:
        its = {
            server: lines.to(target, name=f"{child.name} to {server}")
            for server, target in targets.items()
            if server in _used_by(child.name)
        }
        ways[child.name] = its
        told = ways[AGENTS] | its if child.name == "gateway" else its
        child.environment = _through(child.environment, told, targets)
    return ways


def _used_by(process: str) -> set[str]:
    """Return the servers that a process speaks to."""
    match process:
        case "ingest" | "ingest-2" | "moves" | "keeper":
            return {"postgres", "mosquitto"}
        case "settlement":
            return {"postgres", "rabbitmq", "chain"}
        case _:
            return {"postgres", "rabbitmq"}


def _through(
    environment: Mapping[str, str], its: Mapping[str, Line], targets: Mapping[str, int]
) -> dict[str, str]:
    """Return the environment with each server's port replaced by the process's line to it."""
    told = dict(environment)
    for server, target in targets.items():
        for name in [name for name in told if name == TOLD_BY.get(server) or _names_a_database(name, server)]:
            if server in its:
                told[name] = told[name].replace(f":{target}", f":{its[server].port}")
    return told


def _names_a_database(variable: str, server: str) -> bool:
    return server == "postgres" and variable.endswith("_DATABASE_URL")
