"""``hireling devices``: what can be rented."""

from typing import Annotated

import typer
from rich.table import Table

from hireling.cli.outlet import Outlet, run
from hireling.cli.surroundings import DEFAULT_GATEWAY, GatewayOption, JsonOption
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView
from hireling.rental.money import Token, format_amount
from hireling.rental.tariff import Tariff, worst_case
from hireling.renter.agent import seconds_for


def devices(
    *,
    kind: Annotated[
        str | None, typer.Option(help="Only this kind: computer, appliance, 3d-printer, …")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also machines that are offline.")] = False,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Show the machines that can be rented, with their prices."""
    outlet = Outlet(as_json=as_json)
    facts, listings = run(outlet, lambda: _fetch(gateway, kind, online=None if everything else True))
    for listing in listings if as_json else ():
        outlet.announce(
            "device",
            device=f"0x{listing.document.device.hex()}",
            listing=f"0x{listing.listing.hex()}",
            title=listing.document.title,
            kind=listing.document.kind,
            online=listing.online,
            registered=listing.registered,
        )
    if not as_json:
        outlet.console.print(_table(listings, facts.money) if listings else "no machine is online here")


async def _fetch(
    gateway: str, kind: str | None, *, online: bool | None
) -> tuple[PlatformView, list[ListingView]]:
    platform = PlatformClient(gateway)
    try:
        facts = await platform.platform()
        return facts, list(await platform.listings(kind=kind, online=online))
    finally:
        await platform.close()


def _table(listings: list[ListingView], token: Token) -> Table:
    table = Table()
    for heading in ("machine", "kind", "price", "deposit", "at most, for", "online", "listing"):
        table.add_column(heading)
    for listing in listings:
        document = listing.document
        seconds = seconds_for(listing)
        most = format_amount(worst_case(document.tariff, seconds), token)
        table.add_row(
            document.title,
            document.kind,
            price_of(document.tariff, token),
            format_amount(document.deposit, token),
            f"{most}, {seconds} s",
            "yes" if listing.online else "no",
            f"0x{listing.listing.hex()[:10]}…",
        )
    return table


def price_of(tariff: Tariff, token: Token) -> str:
    """Return a tariff in words."""
    parts = [f"{format_amount(tariff.flat, token)} flat"] if tariff.flat else []
    for rate in tariff.rates:
        unit = next(counter.unit for counter in tariff.counters if counter.name == rate.counter)
        parts.append(f"{format_amount(rate.rate, token)} per {rate.per:,} {unit} ({rate.counter})")
    return " + ".join(parts) or "free"
