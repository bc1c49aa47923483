"""A rental by the `hireling` command, as its two sides run it, and what a test asks about it afterwards."""

import hashlib
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from hireling.rental.bill import SignedBill
from hireling.rental.tariff import price
from tests.e2e.programs import Event, Program, run_to_end, running

START_WITHIN = 120.0  # seconds; four processes may share two busy cores
RENTAL_WITHIN = 300.0
PAGE = 200
# A rental of a few seconds.
SHORT_ROWS, SHORT_SPEED = 60, 20

# Traces whose sums are known from elsewhere, by content: (rows, energy in mJ with each row held 1 s).
KNOWN_TRACES = {
    # a vacuum cleaner's active power, 8 min 22 s: 75.180 Wh
    "b75b1dca86b6c7ddf0a97e6acad841ceec8735a70eeb68e3b71c37b34f1a1a9c": (502, 270_649_420),
}


@dataclass(frozen=True)
class Trace:
    """A recorded machine: its file and what the rental must add up to."""

    path: Path
    column: str
    rows: int
    energy_mj: int

    @classmethod
    def read(cls, path: Path, column: str) -> "Trace":
        """Count the trace by plain arithmetic of our own, or by what is known of it."""
        lines = path.read_text().splitlines()
        place = lines[0].split(",").index(column)
        watts = [Fraction(line.split(",")[place]) for line in lines[1:] if line]
        energy = sum(watts, Fraction(0)) * 1000
        assert energy.denominator == 1, "each row of a test's trace is whole milliwatts"
        known = KNOWN_TRACES.get(hashlib.sha256(path.read_bytes()).hexdigest())
        if known is not None:
            assert known == (len(watts), int(energy))
        return cls(path=path, column=column, rows=len(watts), energy_mj=int(energy))

    def driver(self, speed: int) -> list[str]:
        """Return the device agent's options that replay this trace, each row held one second of its clock."""
        return [
            "--driver",
            "replay",
            "--trace",
            str(self.path),
            "--column",
            self.column,
            "--speed",
            str(speed),
        ]


class GatewaySettings(Protocol):
    """What says where a gateway listens."""

    @property
    def gateway_url(self) -> str:
        """Return its address."""
        ...


class Market(Protocol):
    """A marketplace as its two sides know it, whatever it runs on."""

    @property
    def settings(self) -> GatewaySettings:
        """Return what says where its gateway listens."""
        ...


@dataclass(frozen=True)
class Sides:
    """The two sides' homes and the market between them."""

    market: Market
    home: Path

    def device_arguments(self, *driver: str) -> list[str]:
        """Return the device agent's command line."""
        places = ["--home", str(self.home / "device"), "--gateway", self.market.settings.gateway_url]
        return ["device", "run", *driver, "--name", "e2e machine", *places]

    @contextmanager
    def device(self, *driver: str) -> Iterator[Program]:
        """Run the device agent; it is listed when the block begins."""
        with running(*self.device_arguments(*driver), log=self.home / "device.log") as program:
            program.wait_for("listed", within=START_WITHIN)
            yield program

    def fill_wallet(self) -> Event:
        """Give the renter's wallet test money; return the wallet."""
        places = ["--home", str(self.home / "renter"), "--gateway", self.market.settings.gateway_url]
        code, events = run_to_end(
            "wallet", "faucet", *places, log=self.home / "renter.log", within=START_WITHIN
        )
        assert code == 0, events
        return next(event for event in events if event["event"] == "wallet")

    @contextmanager
    def renter(self, device: str, *options: str) -> Iterator[Program]:
        """Run the renter's agent against this device."""
        places = ["--home", str(self.home / "renter"), "--gateway", self.market.settings.gateway_url]
        arguments = ["rent", "--device", device, *options, "--bills", str(self.home / "bills"), *places]
        with running(*arguments, log=self.home / "renter.log") as program:
            yield program

    def get(self, path: str) -> dict[str, Any]:
        """Return the gateway's answer."""
        url = f"{self.market.settings.gateway_url}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - http, loopback
            answer: dict[str, Any] = json.load(response)
        return answer

    def wealth(self, address: str) -> int:
        """Return the tokens that an address holds or may take from the escrow, in base units."""
        wallet = self.get(f"/v1/wallets/{address}")
        return int(wallet["balance"]) + int(wallet["credit"])


def bill_of(renter: Program) -> SignedBill:
    """Wait for the rental's end; return the bill that the renter's agent stored."""
    event = renter.wait_for("bill", within=RENTAL_WITHIN)
    assert renter.join(within=30) == 0, renter.tail()
    return SignedBill.model_validate_json(Path(event["path"]).read_bytes())


def reaches(program: Program, seq: int) -> None:
    """Wait until the program has seen this reading."""
    program.wait_until(
        lambda event: event["event"] == "reading" and int(event["seq"]) >= seq,
        within=RENTAL_WITHIN,
        what=f"reading {seq}",
    )


def readings_kept(sides: Sides, signed: SignedBill) -> list[dict[str, object]]:
    """Return every reading that metering has of the bill's rental."""
    path = f"/v1/rentals/0x{signed.bill.rental.rental_id.hex()}/readings"
    kept: list[dict[str, object]] = []
    while True:
        page = sides.get(f"{path}?limit={PAGE}&after={len(kept) - 1}" if kept else f"{path}?limit={PAGE}")
        kept += page["items"]
        if len(page["items"]) < PAGE:
            return kept


def assert_as_if_nothing_had_happened(signed: SignedBill, trace: Trace) -> None:
    """The bill has every row of the trace once, and costs what they cost."""
    bill = signed.bill
    assert [reading.reading.seq for reading in bill.readings] == list(range(len(bill.readings)))
    names = [spec.name for spec in bill.rental.offer.tariff.counters]
    assert dict(zip(names, bill.counters, strict=True))["energy_mJ"] == trace.energy_mj
    assert bill.total == price(bill.rental.offer.tariff, bill.counters)


def a_trace(path: Path, *, rows: int) -> Trace:
    """Write a made-up machine: idle, then a motor that warms up, each row whole milliwatts."""
    watts = [0 if row % 50 < 10 else 900_000 + (row * 7919) % 400_000 for row in range(rows)]
    lines = [f"{row},{milliwatts // 1000}.{milliwatts % 1000:03d}" for row, milliwatts in enumerate(watts)]
    path.write_text("\n".join(["second,watts", *lines]) + "\n")
    return Trace(path=path, column="watts", rows=rows, energy_mj=sum(watts))


def rented(market: Market, folder: Path) -> SignedBill:
    """Rent a machine until its bill."""
    sides = Sides(market, folder)
    sides.fill_wallet()
    machine = a_trace(folder / "motor.csv", rows=SHORT_ROWS)
    with (
        sides.device(*machine.driver(SHORT_SPEED)) as device,
        sides.renter(device.of("device_ready")[0]["device"]) as renter,
    ):
        return bill_of(renter)
