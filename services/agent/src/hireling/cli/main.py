"""The ``hireling`` command."""

import typer

from hireling.cli import (
    auction,
    delegate,
    device,
    devices,
    doctor,
    flags,
    mandate,
    pricing,
    proof,
    rent,
    verify,
    wallet,
    why,
    x402,
)

app = typer.Typer(
    name="hireling",
    help="Machines that hire themselves out: rent out a machine, rent one, check a bill.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(device.app, name="device")
app.command("devices")(devices.devices)
app.command("rent")(rent.rent)
app.add_typer(auction.app, name="auction")
app.add_typer(wallet.app, name="wallet")
app.add_typer(mandate.app, name="mandate")
app.add_typer(delegate.app, name="delegate")
app.command("approve")(mandate.approve)
app.command("stop")(mandate.stop)
app.command("go")(mandate.go)
app.command("verify")(verify.verify)
app.command("why")(why.why)
app.command("pricing")(pricing.pricing)
app.command("flags")(flags.flags)
app.command("proof")(proof.proof)
app.command("x402")(x402.x402)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
