"""``hireling verify``: a bill or a bargaining session, recomputed from nothing but itself."""

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from hireling.bargaining.preferences import Issue
from hireling.bargaining.talks import describe
from hireling.cli.outlet import REFUSED, Outlet, run
from hireling.cli.surroundings import DEFAULT_GATEWAY, GatewayOption, JsonOption
from hireling.drivers.driver import BadInput
from hireling.platform_client import PlatformClient
from hireling.rental.bill import BillCheck, SignedBill, verify_bill
from hireling.rental.errors import BillInvalid, RentalError
from hireling.rental.session_document import SessionDocument, verify_session

SESSION_ID = re.compile(r"[0-9a-f]{32}")
MOST_BYTES = 256 * 1024 * 1024


def verify(
    what: Annotated[
        str,
        typer.Argument(help="A bill or a session, a JSON file; or a session's id at the marketplace."),
    ],
    *,
    issuer: Annotated[
        str | None, typer.Option(help="The marketplace's bill key, 0x-hex: only its bills pass.")
    ] = None,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Check a bill offline: every signature, the chain of readings, every price, the sums.

    Or replay a bargaining session: signatures, hash links, rounds, agenda, times, the agreement. A file needs
    no network and no keys.

    Exits with 0 when everything holds, 1 with the first thing that does not, 2 when it is neither.
    """
    outlet = Outlet(as_json=as_json)
    path = Path(what)
    if not path.exists() and SESSION_ID.fullmatch(what):
        _verify_session(outlet, run(outlet, lambda: _fetch(gateway, what)))
        return
    if (session := read_session(path)) is not None:
        _verify_session(outlet, session)
        return
    try:
        signed = read_bill(path)
        wanted = None if issuer is None else bytes.fromhex(issuer.removeprefix("0x"))
        check = verify_bill(signed, issuer=wanted)
    except BadInput as error:
        outlet.fail(error)
    except ValueError as error:
        outlet.fail(BadInput(f"--issuer {issuer}: {error}"))
    except BillInvalid as error:
        _refuse(outlet, error)
    else:
        _pass(outlet, check)


async def _fetch(gateway: str, session: str) -> SessionDocument:
    platform = PlatformClient(gateway)
    try:
        return await platform.session_document(session)
    finally:
        await platform.close()


def read_session(path: Path) -> SessionDocument | None:
    """Return the session in a file, None where it holds something else."""
    try:
        return SessionDocument.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _verify_session(outlet: Outlet, document: SessionDocument) -> None:
    try:
        check = verify_session(document)
    except RentalError as error:
        _refuse(outlet, error)
        return
    for passed in check.checks:
        outlet.say(f"[green]✓[/green] {passed}")
    issues = [Issue(name, values) for name, values in document.listing.document.agenda.issues.items()]
    for made, outcome in zip(document.offers, check.outcomes, strict=True):
        side = "owner" if made.signed.offer.round % 2 == 0 else "renter"
        outlet.say(f"  round {made.signed.offer.round}, {side}: {describe(outcome, issues)}")
    outlet.announce(
        "session_verified",
        quote_id=document.quote_id,
        status=document.status,
        checks=len(check.checks),
        rounds=len(document.offers),
    )
    outlet.say(f"the session holds: {len(check.checks)} checks, {len(document.offers)} offers")


def read_bill(path: Path) -> SignedBill:
    """Return the bill in a file.

    Raises BadInput where there is none, BillInvalid where a value cannot be one.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path} is larger than any bill")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    try:
        return SignedBill.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if not place:
            raise BadInput(f"{path} is not JSON: {first['msg']}") from error
        raise BillInvalid("malformed", f"{place}: {first['msg']}") from error


def _pass(outlet: Outlet, check: BillCheck) -> None:
    for passed in check.checks:
        outlet.say(f"[green]✓[/green] {passed}")
    outlet.announce(
        "verified", rental_id=f"0x{check.rental_id.hex()}", checks=len(check.checks), total=check.total
    )
    outlet.say(f"the bill holds: {len(check.checks)} checks, {check.readings} readings, total {check.total}")


def _refuse(outlet: Outlet, error: RentalError) -> None:
    if outlet.is_for_programs:
        outlet.announce("error", code=error.code, detail=str(error))
    else:
        # On stdout and alone: this line is the command's answer, not a failure of the command.
        outlet.console.print(str(error), style="red", markup=False)
    raise typer.Exit(REFUSED)
