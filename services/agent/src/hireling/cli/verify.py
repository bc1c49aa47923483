"""``hireling verify``: a bill, recomputed from nothing but itself."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from hireling.cli.outlet import REFUSED, Outlet
from hireling.cli.surroundings import JsonOption
from hireling.drivers.driver import BadInput
from hireling.rental.bill import BillCheck, SignedBill, verify_bill
from hireling.rental.errors import BillInvalid

MOST_BYTES = 256 * 1024 * 1024


def verify(
    bill: Annotated[Path, typer.Argument(help="The bill, a JSON file.")],
    *,
    issuer: Annotated[
        str | None, typer.Option(help="The marketplace's bill key, 0x-hex: only its bills pass.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bill offline: every signature, the chain of readings, every price, the sums.

    Needs no network and no keys.

    Exits with 0 when everything holds, 1 with the first thing that does not, 2 when the file is no bill.
    """
    outlet = Outlet(as_json=as_json)
    try:
        signed = read_bill(bill)
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


def _refuse(outlet: Outlet, error: BillInvalid) -> None:
    if outlet.is_for_programs:
        outlet.announce("error", code=error.code, detail=str(error))
    else:
        # On stdout and alone: this line is the command's answer, not a failure of the command.
        outlet.console.print(str(error), style="red", markup=False)
    raise typer.Exit(REFUSED)
