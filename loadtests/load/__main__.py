"""How the whole stack holds under load: ``make load``, ``ARGS=--help``.

A stack of its own, as `make up-stack` starts one: every service a process, on RabbitMQ, PostgreSQL and
Mosquitto, and a chain with a block a second. Everything shares the machine's cores with the generator. Three
parts:

handshake  one renter at a time on an idle marketplace: how long from the question for a price to the money in
           escrow, and to the machine's first reading
searches   renters who look for machines, 50 searches a second over 100,000 listings, and owners beside them
rentals    renters who come as real ones come and rent to the end: real agents of both sides, twenty readings
           and more a rental, each signed, stored, priced, closed on the chain, billed and verified

Then the books: every bill against its readings and its tariff, every account before and after, the operator's
`reconcile`, `health` and `queues`. Everything goes to build/load/: locust's report in HTML of each part, its
figures as CSV, and plots. budgets.toml says what a run may take; beyond it this ends with 1. The last line is
one JSON object.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from hireling.platform_views import PlatformView
from loadtests.bench.processes import cpu_seconds, family
from loadtests.load import books, figures, legs
from loadtests.load.arrivals import arrivals
from loadtests.load.budgets import judged
from loadtests.load.reference import reference_ms
from loadtests.load.seed import CITIES, KINDS, MAKERS, seed
from services.embedded.books import Books
from services.embedded.children import Child
from services.embedded.errors import EmbeddedError
from services.embedded.settings import PROJECT
from services.embedded.stack_market import StackMarketplace, StackServers
from tests.e2e.ports import free_ports

OUTPUT = PROJECT / "build" / "load"
LOADS = PROJECT / ".venv-loads" / "bin"
LOCUSTFILE = Path(__file__).with_name("locustfile.py")
PLOT = Path(__file__).with_name("plot.py")
PARTS = ("handshake", "searches", "rentals")
USERS = {
    "handshake": ("Renting", "Machines"),
    "searches": ("Searching", "Owner"),
    "rentals": ("Renting", "Machines", "Owner"),
}
OTHERS = {"Searching": 25, "Owner": 4, "Machines": 1}
LISTED_WITHIN = 300.0
SETTLED_WITHIN = 120.0
RENTALS_DRAIN_SECONDS = 300
HTTP = {"GET", "POST", "HTTP"}
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Plan:
    """How much of each part."""

    listings: int
    machines: int
    renters: int
    handshakes: int
    search_seconds: int
    searches_a_second: float
    rentals: int
    arrive_within: float


PLANS = {
    "load": Plan(
        listings=100_000, machines=40, renters=24, handshakes=12,
        search_seconds=40, searches_a_second=50, rentals=200, arrive_within=50,
    ),
    "short": Plan(
        listings=3_000, machines=6, renters=4, handshakes=2,
        search_seconds=5, searches_a_second=20, rentals=8, arrive_within=4,
    ),
}  # fmt: skip


@dataclass
class Run:
    """One load on one marketplace."""

    market: StackMarketplace
    folder: Path
    metrics_url: str
    plan: Plan
    file: Path | None
    agents: Mapping[str, Child] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def play(self, part: str) -> None:
        """Run one part."""
        before, spent, began = self._calls(), self._spent(), time.monotonic()
        console.print(f"load: {part}")
        self._locust(part)
        seconds = time.monotonic() - began
        report = self.reports[part] = json.loads((self.folder / "locust.json").read_text())
        for error in report["errors"]:
            console.print(f"ERROR {error['count']} x {error['name']}: {error['error'][:300]}", markup=False)
        self.figures[f"{part}_rpc_p99_ms"] = figures.slowest_call(before, self._calls(), 0.99)
        self._note_spent(part, spent, seconds)
        self._note_legs(part)

    def _locust(self, part: str) -> None:
        plan, output = self.plan, OUTPUT / part
        shown = self.folder / "arrivals.json"
        if part == "handshake":
            shown.write_text(json.dumps([0.0] * plan.handshakes))
        else:
            shown.write_text(json.dumps(arrivals(self.file, plan.rentals, seconds=plan.arrive_within)))
        limit = plan.search_seconds if part == "searches" else RENTALS_DRAIN_SECONDS
        users = {"Renting": 1 if part == "handshake" else plan.renters}
        command = [
            str(LOADS / "locust"), "-f", str(LOCUSTFILE), "--headless",
            "--host", self.market.settings.gateway_url,
            "--run-time", f"{limit}s", "--stop-timeout", "60", "--spawn-rate", "100", "--loglevel", "WARNING",
            "--only-summary", "--csv", str(output), "--csv-full-history", "--html", f"{output}.html",
            "--exit-code-on-error", "0", *USERS[part],
        ]  # fmt: skip
        environment = {
            **os.environ,
            "LOAD_FOLDER": str(self.folder),
            "LOAD_SEARCHES_A_SECOND": str(plan.searches_a_second),
            "LOAD_RENTERS": str(users["Renting"]),
            "LOAD_SEARCHERS": str(OTHERS["Searching"]),
            "LOAD_OWNERS": str(OTHERS["Owner"]),
            "LOAD_KINDS": ",".join(KINDS),
            "LOAD_CITIES": ",".join(city for city, _ in CITIES),
            "LOAD_MAKERS": ",".join(MAKERS),
        }
        command += ["--users", str(sum((OTHERS | users)[name] for name in USERS[part]))]
        with (OUTPUT / f"{part}.log").open("wb") as log:
            subprocess.run(command, env=environment, cwd=self.folder, stdout=log, stderr=log, check=True)

    def _note_legs(self, part: str) -> None:
        rentals = legs.read_journal(self.folder / "journal.jsonl")
        legs.add_settlement(rentals, self.market.settings.home / "logs" / "settlement.log")
        found = legs.legs(rentals.values(), since=float(self.reports[part]["began"]))
        if found:
            (OUTPUT / f"{part}.legs.json").write_text(json.dumps([asdict(leg) for leg in found], indent=1))
            console.print(legs.table(found), markup=False)

    def sum_up(self) -> None:
        """Turn what was measured into figures."""
        reports, out = self.reports, self.figures
        loaded = [reports[part] for part in ("searches", "rentals") if part in reports]
        if loaded:
            out["http_rps"] = max(report["http_a_second"] for report in loaded)
            out["http_p95_ms"] = figures.percentile(loaded, 0.95, kinds=HTTP)
        if "searches" in reports:
            asked = {"kinds": HTTP, "named": "/v1/listings by"}
            out["search_p50_ms"] = figures.percentile([reports["searches"]], 0.50, **asked)  # type: ignore[arg-type]
            out["search_p95_ms"] = figures.percentile([reports["searches"]], 0.95, **asked)  # type: ignore[arg-type]
            searched = figures.count([reports["searches"]], **asked)  # type: ignore[arg-type]
            out["searches_per_second"] = searched / self.plan.search_seconds
        for part, name in (("handshake", ""), ("rentals", "loaded_")):
            if part in reports:
                for what, told in (("handshake", "quote to funded"), ("unlocked", "quote to unlocked")):
                    out[f"{name}{what}_p95_ms"] = figures.percentile(
                        [reports[part]], 0.95, kinds={"RENTAL"}, named=told
                    )
        if "rentals" in reports:
            out["rentals_per_minute"] = self._rentals_per_minute()
            out["reading_durable_p95_ms"] = figures.percentile([reports["rentals"]], 0.95, kinds={"MQTT"})
        out["rpc_p99_ms"] = max(out.pop(f"{part}_rpc_p99_ms") for part in reports)
        out["retried"] = figures.count(reports.values(), kinds={"RETRIED"})
        out["errors"] = figures.failures(reports.values())

    def rentals(self) -> list[dict[str, Any]]:
        """Return every rental that came to its bill."""
        path = self.folder / "rentals.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _rentals_per_minute(self) -> float:
        """Return the rate over the whole part: from the first renter's coming to the last bill."""
        times = [rental["at"] for rental in self.rentals()[-self.plan.rentals :]]
        began = float(self.reports["rentals"]["began"])
        return len(times) / (max(times) - began) * 60 if times else 0.0

    def _calls(self) -> dict[float, float]:
        return figures.calls(httpx.get(self.metrics_url, timeout=30).raise_for_status().text)

    def _spent(self) -> dict[str, float]:
        """Return the processor time of every part of the stack and of the generator so far."""
        children = {child.name: child for child in self.market.children}
        children |= {f"generator: {name}": child for name, child in self.agents.items()}
        spent = {
            name: sum(map(cpu_seconds, family(child.process.pid)))
            for name, child in children.items()
            if child.process is not None
        }
        control = json.loads(Path(os.environ["STACK_CONTROL"]).read_text())
        spent |= {name: sum(map(cpu_seconds, family(server["pid"]))) for name, server in control.items()}
        ended = os.times()
        return spent | {"generator: locust": ended.children_user + ended.children_system}

    def _note_spent(self, part: str, before: Mapping[str, float], seconds: float) -> None:
        spent = {name: spent - before.get(name, 0.0) for name, spent in self._spent().items()}
        (OUTPUT / f"{part}.cpu.json").write_text(json.dumps({"seconds": seconds, "spent": spent}, indent=1))
        most = sorted(spent.items(), key=lambda each: -each[1])[:9]
        told = ", ".join(f"{name} {used / seconds:.0%}" for name, used in most)
        console.print(f"  {seconds:.0f} s; of a core: {told}")


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Run the parts that were asked for; return the exit code."""
    plan, wanted = _plan(options), options.only or PARTS
    with (
        _open(folder) as (market, metrics_url),
        httpx.Client(base_url=market.settings.gateway_url, timeout=60) as http,
    ):
        run = Run(market, folder, metrics_url, plan, options.arrivals)
        facts = PlatformView.model_validate_json(http.get("/v1/platform").raise_for_status().text)
        if "searches" in wanted:
            took = seed(market.settings.databases["listing"], facts, plan.listings, now=datetime.now(UTC))
            console.print(f"load: {plan.listings:,} machines listed in {took:.0f} s")
        with _agents(market, folder, plan) as run.agents:
            listed = (folder / "machines.jsonl").read_text().splitlines()
            owners = [json.loads(line)["owner"] for line in listed]
            renters = json.loads((folder / "wallets.json").read_text())
            before = books.accounts(http, renters=renters, owners=owners)
            speeds = [reference_ms()]
            for part in wanted:
                run.play(part)
            speeds.append(reference_ms())
            wrong = _books(run, http, before)
        run.sum_up()
        run.figures["books_wrong"] = len(wrong)
        run.figures["reference_ms"] = statistics.mean(speeds)
        console.print("load: the reference job took {:.0f} ms before, {:.0f} ms after".format(*speeds))
        return _judge(run, "short" if options.short else "load", wrong)


def _books(run: Run, http: httpx.Client, before: Books) -> list[str]:
    deadline = time.monotonic() + SETTLED_WITHIN
    while http.get("/v1/rentals", params={"open_only": "true"}).raise_for_status().json()["items"]:
        if time.monotonic() > deadline:
            return ["rentals are open still"]
        time.sleep(0.5)
    environment = {**run.market.settings.environment(), "LOAD_WALLETS": str(run.folder / "wallets.json")}
    return books.wrong(http, run.rentals(), before=before, environment=environment)


def _judge(run: Run, budgets: str, wrong: list[str]) -> int:
    for each in wrong[:10]:
        console.print(f"WRONG {each}", markup=False)
    table = Table("figure", "measured", "budget", "")
    lines = judged(run.figures, budgets=budgets)
    for line in lines:
        table.add_row(line.name, f"{line.measured:.1f}", line.budget, "" if line.holds else "beyond it")
    console.print(table)
    console.print(f"reports and plots: {OUTPUT.relative_to(PROJECT)}/")
    print(json.dumps({name: round(value, 1) for name, value in run.figures.items()}))
    return 0 if all(line.holds for line in lines) else 1


def _plan(options: argparse.Namespace) -> Plan:
    usual = PLANS["short" if options.short else "load"]
    given = {name: getattr(options, name) for name in vars(usual) if getattr(options, name) is not None}
    return Plan(**{**vars(usual), **given})


@contextmanager
def _open(folder: Path) -> Iterator[tuple[StackMarketplace, str]]:
    gateway, chain, metrics = free_ports(3)
    # One address stands for many renters here.
    os.environ |= {"GATEWAY_RATE_LIMIT": "1000000/second", "GATEWAY_METRICS_PORT": str(metrics)}
    os.environ.setdefault("HIRELING_LOG_FORMAT", "json")  # the legs are read from it
    settings = StackServers().settings(
        hireling_home=folder / "market", gateway_port=gateway, chain_port=chain
    )
    market = StackMarketplace(settings, say=console.print)
    market.start()
    try:
        yield market, f"http://127.0.0.1:{metrics}/metrics"
    finally:
        market.stop()
        shutil.copytree(settings.home / "logs", OUTPUT / "logs", dirs_exist_ok=True)


@contextmanager
def _agents(market: StackMarketplace, folder: Path, plan: Plan) -> Iterator[Mapping[str, Child]]:
    """Run both sides' agents."""
    url, listed, wallets = market.settings.gateway_url, folder / "machines.jsonl", folder / "wallets.json"

    def all_listed() -> bool:
        return listed.exists() and len(listed.read_text().splitlines()) >= plan.machines

    machines = _child("machines", folder, [url, str(folder), str(plan.machines)], ready=all_listed)
    renters = _child("renters", folder, [url, str(folder), str(plan.renters)], ready=wallets.exists)
    try:
        for child in (machines, renters):
            child.start()
            child.wait_ready()
        console.print(f"load: {plan.machines} machines and {plan.renters} renters are ready")
        yield {"machines": machines, "renters": renters}
    finally:
        for child in (renters, machines):
            child.stop()


def _child(name: str, folder: Path, arguments: list[str], *, ready: Any) -> Child:
    return Child(
        name=name,
        command=[sys.executable, "-m", f"loadtests.load.{name}", *arguments],
        environment={},
        log=OUTPUT / f"{name}.log",
        ready=ready,
        ready_within=LISTED_WITHIN,
        cwd=PROJECT,
    )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="make load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; again for another")
    parser.add_argument("--short", action="store_true", help="a minute, with budgets for any machine")
    parser.add_argument(
        "--arrivals",
        type=Path,
        default=os.environ.get("ARRIVALS") or None,
        help="CSV with real arrivals (ARRIVALS=file)",
    )
    for name, what in {
        "listings": "listings to search", "machines": "machines for hire", "renters": "renters at once",
        "handshakes": "rentals on an idle marketplace", "search_seconds": "seconds of searches",
        "searches_a_second": "searches a second", "rentals": "rentals",
        "arrive_within": "seconds in which renters come",
    }.items():  # fmt: skip
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=what)
    options = parser.parse_args()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory(prefix="hireling-load-") as folder:
            return measure(options, Path(folder))
    except EmbeddedError as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 1
    finally:
        subprocess.run([str(LOADS / "python"), str(PLOT), str(OUTPUT)], check=False)


if __name__ == "__main__":
    sys.exit(main())
