"""What commands say: lines of JSON for programs, sentences for people, and one way to fail."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console

from hireling.announce import Announce, Field
from hireling.cli.sentences import sentence
from hireling.device.chain import WrongChain
from hireling.device.record_file import LogDamaged
from hireling.device.settling import BillWrong
from hireling.drivers.driver import BadInput, DriverFailed
from hireling.handing_in import NotTakenBack, PaidOut
from hireling.json_rpc import ChainUnreachable
from hireling.keystore import KeystoreError
from hireling.mqtt_line import LineDown
from hireling.platform_errors import PlatformFault, PlatformRefused, PlatformUnreachable
from hireling.rental.errors import RentalError
from hireling.rental.money import Token
from hireling.renter.bargainer import NoDeal
from hireling.renter.funding import FundingFailed
from hireling.renter.resuming import NotAllBilled, SomeUnanswered
from hireling.renter.settling import BillRefused
from hireling.renter.wallet import TokenUnfit

REFUSED, USAGE, UNREACHABLE, NOT_YET = 1, 2, 3, 4


class NotYet(Exception):
    """Nothing is wrong, and what was asked for is not there yet; asking again later may change that."""


EXIT_CODES: Mapping[type[Exception], int] = {
    BadInput: USAGE,
    PlatformUnreachable: UNREACHABLE,
    PlatformFault: UNREACHABLE,
    ChainUnreachable: UNREACHABLE,
    LineDown: UNREACHABLE,
    SomeUnanswered: UNREACHABLE,
    NotAllBilled: REFUSED,
    PlatformRefused: REFUSED,
    RentalError: REFUSED,
    NoDeal: REFUSED,
    FundingFailed: REFUSED,
    BillRefused: REFUSED,
    PaidOut: REFUSED,
    NotTakenBack: REFUSED,
    BillWrong: REFUSED,
    LogDamaged: REFUSED,
    KeystoreError: REFUSED,
    TokenUnfit: REFUSED,
    DriverFailed: REFUSED,
    WrongChain: REFUSED,
    NotYet: NOT_YET,
}
# Counts and numbers of things; every other integer is money or a counter, and travels as a decimal string.
PLAIN_NUMBERS = frozenset(
    {"seq", "block", "round", "rounds", "checks", "after", "seconds", "default_seconds", "port", "hours"}
)
Result = TypeVar("Result")


class Outlet:
    """Where a command's words go."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self.console = Console(highlight=False, soft_wrap=True)
        self.token: Token | None = None
        """How people read amounts; known once the marketplace was asked."""

    @property
    def is_for_programs(self) -> bool:
        """Return whether lines of JSON were asked for."""
        return self._as_json

    @property
    def announce(self) -> Announce:
        """Return what agents tell their events to."""
        return self._write_json if self._as_json else self._write_sentence

    def say(self, text: str) -> None:
        """Print a line for people; programs do not see it."""
        if not self._as_json:
            self.console.print(text)

    def fail(self, error: Exception) -> NoReturn:
        """Report an error and end the command with its exit code."""
        code = str(getattr(error, "code", "")) or _snake(type(error).__name__)
        if self._as_json:
            self._write_json("error", code=code, detail=str(error))
        else:
            Console(stderr=True, highlight=False, soft_wrap=True).print(
                f"error: {error}", style="red", markup=False
            )
        raise typer.Exit(exit_code_of(error))

    def _write_json(self, event: str, **fields: Field) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        said = {name: _plain(name, value) for name, value in fields.items() if value is not None}
        sys.stdout.write(json.dumps({"event": event, "at": at, **said}) + "\n")
        sys.stdout.flush()

    def _write_sentence(self, event: str, **fields: Field) -> None:
        said = sentence(event, fields, self.token)
        if said is not None:
            self.console.print(f"[dim]{datetime.now(UTC).astimezone():%H:%M:%S}[/dim]  {said}")


def run(outlet: Outlet, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a command's work; an expected error becomes one line and an exit code, never a traceback."""
    try:
        return asyncio.run(work())
    except tuple(EXIT_CODES) as error:
        outlet.fail(error)


def exit_code_of(error: Exception) -> int:
    """Return the exit code for an error: 1 refused or failed check, 2 usage, 3 unreachable, 4 not yet."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


def _plain(name: str, value: Field) -> Field:
    is_amount = isinstance(value, int) and not isinstance(value, bool) and name not in PLAIN_NUMBERS
    return str(value) if is_amount else value


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
