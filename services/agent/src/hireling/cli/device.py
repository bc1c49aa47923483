"""``hireling device``: rent out a machine."""

from pathlib import Path
from typing import Annotated

import typer

from hireling.cli.machine import Order, serve
from hireling.cli.outlet import Outlet, run
from hireling.cli.surroundings import (
    DEFAULT_GATEWAY,
    DEFAULT_HOME,
    GatewayOption,
    Home,
    HomeOption,
    JsonOption,
)
from hireling.device.offering import LONGEST_RENTAL_SECONDS, Wishes
from hireling.device.price_bounds import PricingWishes
from hireling.device.price_journal import Mode
from hireling.drivers.choice import Choice, DriverName
from hireling.keystore import Curve
from hireling.mqtt_line import Broker
from hireling.rental.encoding import Encoding

app = typer.Typer(help="Rent out a machine.", no_args_is_help=True)


@app.callback()
def device() -> None:
    """Rent out a machine."""


@app.command("run")
def run_device(
    *,
    driver: Annotated[DriverName, typer.Option(help="host: this computer; replay: a recorded machine.")],
    name: Annotated[str | None, typer.Option(help="What the machine is called. Default: what it is.")] = None,
    price: Annotated[
        str | None, typer.Option(help="Price per unit of use: an hour of CPU, a kWh. Default: the driver's.")
    ] = None,
    flat: Annotated[str | None, typer.Option(help="Flat fee of every rental. Default: the driver's.")] = None,
    deposit: Annotated[
        str, typer.Option(help="Deposit; it returns in full when nothing is damaged.")
    ] = "0.50",
    floor: Annotated[
        int, typer.Option(min=1, max=100, help="Least share of the price to agree to, in percent.")
    ] = 80,
    says: Annotated[
        str, typer.Option(help="What you want, such as: never under 0.12 per kWh, prefer evenings.")
    ] = "",
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Rounds of counter-offers at most.")] = 8,
    later_starts: Annotated[
        int, typer.Option(min=0, max=12, help="Quarters of an hour that a start may be put off.")
    ] = 0,
    approval_above: Annotated[
        str | None, typer.Option(help="Ask a person before agreeing to more than this, all in.")
    ] = None,
    on_approval: Annotated[
        str | None, typer.Option(help="Command to run when a person is asked; it reads the question as JSON.")
    ] = None,
    mandate_total: Annotated[
        str | None, typer.Option(help="The most that all rentals of one run may come to. Default: no cap.")
    ] = None,
    ceiling_seconds: Annotated[
        int | None, typer.Option(min=1, help="How much use the renter allows ahead. Default: the driver's.")
    ] = None,
    grace: Annotated[int, typer.Option(min=0, help="Seconds to wait suspended before ending.")] = 60,
    notice: Annotated[int, typer.Option(min=1, help="Seconds to serve without hearing from anybody.")] = 600,
    longest: Annotated[
        int, typer.Option(min=1, help="Seconds that a rental may take at most.")
    ] = LONGEST_RENTAL_SECONDS,
    books_ahead: Annotated[
        int, typer.Option(min=0, max=30 * 24, help="Hours ahead to take bookings; 0: one rental at a time.")
    ] = 0,
    turnaround: Annotated[
        int, typer.Option(min=0, help="Seconds that the machine needs between two rentals.")
    ] = 0,
    trace: Annotated[
        Path | None, typer.Option(help="replay: CSV file. Default: one that we recorded.")
    ] = None,
    column: Annotated[str, typer.Option(help="replay: column of power in watts.")] = "power_W",
    speed: Annotated[int, typer.Option(min=1, help="replay: how many times faster than recorded.")] = 20,
    interval: Annotated[
        str | None,
        typer.Option(help="replay: seconds every row is held. Default: until the next row's time."),
    ] = None,
    blocks: Annotated[int | None, typer.Option(min=1, help="host: size of the workload.")] = None,
    meter_key: Annotated[Curve, typer.Option(help="Curve of a new meter key.")] = "secp256k1",
    rpc_url: Annotated[
        str | None, typer.Option(help="Your own chain node. Default: the one the marketplace names.")
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            envvar="HIRELING_BROKER",
            help="Your own way to the MQTT broker, mqtt://host:port. Default: the one the marketplace names.",
        ),
    ] = None,
    confirmations: Annotated[
        int | None, typer.Option(min=1, help="Blocks to wait for money. Default: the marketplace's.")
    ] = None,
    encoding: Annotated[
        Encoding, typer.Option(help="How readings travel; cbor takes little more than half the bytes.")
    ] = "json",
    pricing: Annotated[
        Mode, typer.Option(help="on: move the price by demand; shadow: only note what it would do.")
    ] = "off",
    ceiling: Annotated[
        str | None, typer.Option(help="The most that --pricing may list per unit; the least is --floor's.")
    ] = None,
    price_step: Annotated[
        int, typer.Option(min=1, max=100, help="The most that one change may be, in percent of --price.")
    ] = 8,
    price_every: Annotated[
        int, typer.Option(min=1, help="Minutes from one change of the price to the next, at least.")
    ] = 60,
    bids: Annotated[
        bool,
        typer.Option(
            "--bids/--no-bids", help="Bid in reverse auctions of renters who look for such a machine."
        ),
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop after one rental came to its bill.")] = False,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """List a machine and serve whoever rents it, until Ctrl-C.

    The machine's key is made on first use and stays in the home folder. A rental in progress survives a crash
    or a restart of this command: it goes on from its log.
    """
    outlet = Outlet(as_json=as_json)
    order = Order(
        home=Home.at(home),
        gateway=gateway,
        name=name or driver,
        choice=Choice(
            driver=driver,
            title=name,
            trace=trace,
            column=column,
            speed=speed,
            interval=interval,
            blocks=blocks,
        ),
        wishes=Wishes(
            price=price,
            flat=flat,
            deposit=deposit,
            floor_percent=floor,
            says=says,
            rounds=rounds,
            later_starts=later_starts,
            approval_above=approval_above,
            mandate_total=mandate_total,
            ceiling_seconds=ceiling_seconds,
            grace_seconds=grace,
            notice_seconds=notice,
            longest_seconds=longest,
            books_ahead_seconds=books_ahead * 3600,
            turnaround_seconds=turnaround,
        ),
        curve=meter_key,
        rpc_url=rpc_url,
        broker=_broker_at(broker),
        confirmations=confirmations,
        once=once,
        on_approval=on_approval,
        encoding=encoding,
        pricing=PricingWishes(
            mode=pricing, ceiling=ceiling, step_percent=price_step, every_minutes=price_every
        ),
        bids=bids,
    )  # fmt: skip
    if not run(outlet, lambda: serve(order, outlet)):
        raise typer.Exit(1)


def _broker_at(url: str | None) -> Broker | None:
    try:
        return None if url is None else Broker.at(url)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--broker") from error
