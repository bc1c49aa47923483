"""``hireling flags``: what looks wrong about a rental's readings, and what of it holds money back."""

from collections.abc import Sequence
from typing import Annotated

import typer

from hireling.cli.outlet import Outlet, run
from hireling.cli.surroundings import DEFAULT_GATEWAY, GatewayOption, JsonOption
from hireling.drivers.driver import BadInput
from hireling.platform_client import PlatformClient
from hireling.platform_views import FlagView
from hireling.rental.typed_data import from_hex

ID_BYTES = 32


def flags(
    rental: Annotated[str, typer.Argument(help="The rental's id, 0x-hex.")],
    *,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Show what looks wrong about a rental's readings, and what of it holds the tail of the money back."""
    outlet = Outlet(as_json=as_json)
    found = run(outlet, lambda: _fetch(gateway, rental))
    for flag in found:
        outlet.announce(
            "flag", rental_id=rental, seq=flag.seq, code=flag.code, reason=flag.reason, money=_money(flag)
        )
    if not found:
        outlet.say("nothing looks wrong")


async def _fetch(gateway: str, rental: str) -> Sequence[FlagView]:
    rental_id = _rental_id(rental)
    platform = PlatformClient(gateway)
    try:
        return await platform.flags(rental_id)
    finally:
        await platform.close()


def _rental_id(text: str) -> bytes:
    try:
        found = from_hex(text)
    except ValueError as error:
        raise BadInput(f"RENTAL {text!r} is not 0x-hex") from error
    if len(found) != ID_BYTES:
        raise BadInput(f"RENTAL {text!r} has {len(found)} bytes, a rental's id has {ID_BYTES}")
    return found


def _money(flag: FlagView) -> str:
    if flag.holds:
        return "the unacknowledged tail waits"
    return "acknowledged by the renter" if flag.acknowledged else "waits no longer"
