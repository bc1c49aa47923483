"""The demo: two machines hire themselves out, and the money is counted before and after."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic_settings import SettingsConfigDict
from rich.console import Console

from hireling.rental.bill import SignedBill
from hireling.rental.money import Token, format_amount
from services.chassis.settings import ServiceSettings
from services.embedded.accounts import Accounts
from services.embedded.books import Books, Outcome, leaks
from services.embedded.errors import EmbeddedError
from services.embedded.marketplace import Marketplace
from services.embedded.narration import line_of, short
from services.embedded.programs import Program, verify
from services.embedded.report import accounts_table, rentals_table, transactions_table
from services.embedded.supervisor import only_one, running_pid

SILENCE = 60.0  # seconds without a word from an agent are a failure
# An owner asks for the machine, not for its electricity: 100 a kWh, in sight of the flat fee.
REPLAY = ("--driver", "replay", "--flat", "0.01", "--price", "100")
# What each side wants, as people say it; the machines' agents and the renter's bargain within it.
OWNER_SAYS = "never under 80 %, prefer evenings, short rentals fine"
RENTER_SAYS = "at least 80 % of the use, price matters most"
READINGS_EVERY = 1.0  # seconds between two progress lines of a running meter


class TraceSettings(ServiceSettings):
    """TRACE, COLUMN and SPEED choose what the replayed machine replays."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True)

    trace: Path | None = None
    column: str | None = None
    speed: int | None = None

    def arguments(self) -> list[str]:
        """Return the driver's options."""
        chosen = {"--trace": self.trace, "--column": self.column, "--speed": self.speed}
        return [
            word for option, value in chosen.items() if value is not None for word in (option, str(value))
        ]


@dataclass(frozen=True)
class Machine:
    """A machine of the demo, its agent running."""

    title: str
    agent: Program
    device: str
    owner: str


@dataclass(frozen=True)
class Rental:
    """A rental that came to its end."""

    machine: Machine
    signed: SignedBill
    path: Path

    @property
    def outcome(self) -> Outcome:
        """Return what the bill says was paid."""
        return Outcome(owner=self.machine.title, paid=self.signed.bill.total, fee=self.signed.bill.fee)


def run_demo(market: Marketplace, console: Console) -> int:
    """Run the demo on this marketplace, starting it where none runs; return the exit code."""
    with _open(market, console):
        return Demo(market, console).run()


@contextmanager
def _open(market: Marketplace, console: Console) -> Iterator[None]:
    if running_pid(market.settings) is not None:
        console.print(f"using the marketplace that runs on {market.settings.home}")
        yield
        return
    with only_one(market.settings):
        market.start()
        try:
            yield
        finally:
            market.stop()


class Demo:
    """One run of the demo."""

    def __init__(self, market: Marketplace, console: Console) -> None:
        self._settings = market.settings
        self._console = console
        self._home = self._settings.home / "demo"
        self._accounts = Accounts(self._settings.gateway_url)
        platform = self._accounts.platform
        self._token = Token.model_validate({**platform["token"], "chain_id": platform["chain_id"]})

    def run(self) -> int:
        """Rent both machines, print the books, and return 0 when money was conserved."""
        with ExitStack() as stack:
            machines = [
                self._machine(stack, "this computer", "host", ["--driver", "host"]),
                self._machine(stack, "replayed machine", "replay", [*REPLAY, *TraceSettings().arguments()]),
            ]
            owners = {machine.title: machine.owner for machine in machines}
            addresses = self._accounts.around(renter=self._fill_wallet(), owners=owners)
            before = self._accounts.read(addresses)
            rentals = [self._rent(machine) for machine in machines]
            after = self._accounts.read(addresses)
        return self._report(rentals, before, after)

    def _machine(self, stack: ExitStack, title: str, name: str, driver: Sequence[str]) -> Machine:
        options = [
            "--name",
            f"demo {name}",
            "--home",
            str(self._home / name),
            "--gateway",
            self._settings.gateway_url,
        ]
        says = ["--says", OWNER_SAYS]
        agent = Program(title, ["device", "run", *driver, *says, *options], log=self._log(name))
        stack.callback(agent.stop)
        ready = agent.wait_for("device_ready", within=SILENCE)
        self._say(
            title, f"its key names device {short(ready['device'])}; it earns for {short(ready['owner'])}"
        )
        listed = agent.wait_for("listed", within=SILENCE)
        self._say(title, f"registered on the chain and listed itself: {short(listed['listing'])}")
        return Machine(title=title, agent=agent, device=ready["device"], owner=ready["owner"])

    def _fill_wallet(self) -> str:
        home = str(self._home / "renter")
        arguments = ["wallet", "faucet", "--home", home, "--gateway", self._settings.gateway_url]
        wallet = Program("renter", arguments, log=self._log("renter")).wait_for("wallet", within=SILENCE)
        balance = self._money(int(wallet["balance"]))
        self._say("renter", f"wallet {short(wallet['address'])} holds {balance}, and no gas")
        return str(wallet["address"])

    def _rent(self, machine: Machine) -> Rental:
        self._console.rule(f"renting {machine.title}", align="left")
        self._say(machine.title, f"its owner says: {OWNER_SAYS}")
        self._say("renter", f"says: {RENTER_SAYS}")
        arguments = ["rent", "--device", machine.device, "--home", str(self._home / "renter")]
        arguments += ["--says", RENTER_SAYS]
        places = ["--bills", str(self._settings.home / "bills"), "--gateway", self._settings.gateway_url]
        renter = Program("renter", [*arguments, *places], log=self._log("renter"))
        try:
            path = self._follow(machine, renter)
        finally:
            renter.stop()
        checked = verify(path)
        self._say("verify", f"{path.name}: {checked}")
        return Rental(machine=machine, signed=SignedBill.model_validate_json(path.read_bytes()), path=path)

    def _follow(self, machine: Machine, renter: Program) -> Path:
        shown = 0.0
        bill: Path | None = None
        for event in renter.events(within=SILENCE):
            for said in machine.agent.pending():
                if said["event"] == "quoted":
                    self._say(
                        machine.title, f"offers {self._money(int(said['all_in']))} all in: {said['reason']}"
                    )
                if said["event"] == "agreement_signed":
                    self._say(machine.title, f"signs: {said['reason']}")
            if event["event"] == "bill":
                bill = Path(event["path"])
            if event["event"] == "reading":
                if time.monotonic() - shown < READINGS_EVERY:
                    continue
                shown = time.monotonic()
            line = line_of(event, self._money)
            if line:
                self._say("meter" if event["event"] == "reading" else "renter", line)
        if bill is None or renter.exit_code != 0:
            log = self._log("renter")
            raise EmbeddedError(f"the rental ended without a bill, exit code {renter.exit_code} ({log})")
        return bill

    def _report(self, rentals: list[Rental], before: Books, after: Books) -> int:
        bills = [(rental.machine.title, rental.signed.bill) for rental in rentals]
        self._console.print(rentals_table(bills, self._money))
        self._console.print(transactions_table(bills))
        self._console.print(accounts_table(before, after, self._money))
        for rental in rentals:
            self._console.print(f"bill: {rental.path}")
        found = leaks(before, after, [rental.outcome for rental in rentals])
        for leak in found:
            self._console.print(f"error: {leak}", style="red")
        self._console.print(
            f"money conserved: {'no' if found else 'yes'}", style="red" if found else "bold green"
        )
        return 1 if found else 0

    def _money(self, amount: int) -> str:
        return format_amount(amount, self._token)

    def _say(self, who: str, line: str) -> None:
        self._console.print(f"[bold]{who:>16}[/bold]  {line}", highlight=False)

    def _log(self, name: str) -> Path:
        return self._settings.home / "logs" / f"demo-{name}.log"
