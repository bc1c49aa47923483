"""``hireling wallet``: the keys' money."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hireling.cli.outlet import Outlet, run
from hireling.cli.surroundings import (
    DEFAULT_GATEWAY,
    DEFAULT_HOME,
    GatewayOption,
    Home,
    HomeOption,
    JsonOption,
)
from hireling.clock import SystemClock
from hireling.drivers.driver import BadInput
from hireling.durable import write_atomically
from hireling.json_rpc import JsonRpc
from hireling.keystore import KeystoreError
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView, WalletView
from hireling.rental.money import parse_amount
from hireling.renter.wallet import Wallet

Whose = Literal["renter", "owner", "x402"]
KEY_NAMES = {"renter": "wallet", "owner": "owner", "x402": "x402"}
ADDRESS_DIGITS = 40

WhoseOption = Annotated[
    Whose,
    typer.Option(
        "--of", help="renter: what rents are paid from; owner: what machines earn into; x402: a front's."
    ),
]

app = typer.Typer(help="Balance, test money, withdrawal and key backup.", no_args_is_help=True)


@app.command("balance")
def balance(
    *,
    of: WhoseOption = "renter",
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Show what a wallet holds."""
    _ask(
        Home.at(home),
        gateway,
        of=of,
        outlet=Outlet(as_json=as_json),
        question=lambda wallet, *_: wallet.state(),
    )


@app.command("faucet")
def faucet(
    *,
    of: WhoseOption = "renter",
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Draw test money. Works on a development chain only, where money is worth nothing."""
    _ask(
        Home.at(home),
        gateway,
        of=of,
        outlet=Outlet(as_json=as_json),
        question=lambda wallet, platform, _: platform.faucet(wallet.address),
    )


@app.command("withdraw")
def withdraw(
    to: Annotated[str, typer.Argument(help="The 0x address to send to.")],
    amount: Annotated[str, typer.Argument(help="How much, such as 12.50.")],
    *,
    of: WhoseOption = "renter",
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Send tokens to another address. You sign; the marketplace relays and pays the gas."""
    outlet = Outlet(as_json=as_json)

    async def send(wallet: Wallet, platform: PlatformClient, facts: PlatformView) -> WalletView:
        value = parse_amount(amount, facts.money)
        signed = await wallet.transfer(recipient=_address(to), value=value, now=SystemClock().now())
        relayed = await platform.withdraw(signed)
        transaction: dict[str, Any] = relayed.get("transaction", {})
        outlet.announce(
            "withdrawal", to=to, total=value, status=transaction.get("status"), tx=transaction.get("hash")
        )
        return await wallet.state()

    _ask(Home.at(home), gateway, of=of, outlet=outlet, question=send)


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    *,
    of: WhoseOption = "renter",
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the backup's passphrase. Default: you are asked for it.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a wallet's key to a file, encrypted under a passphrase that you choose.

    Every Ethereum wallet opens it.
    """
    outlet = Outlet(as_json=as_json)
    try:
        _back_up(Home.at(home), KEY_NAMES[of], file, passphrase_file)
    except (BadInput, KeystoreError) as error:
        outlet.fail(error)
    outlet.announce("backed_up", path=str(file))
    outlet.say(f"{file} holds the key; without its passphrase it is worth nothing, to you as to a thief")


def _back_up(home: Home, name: str, file: Path, passphrase_file: Path | None) -> None:
    if file.exists():
        raise BadInput(f"{file} exists: a backup never overwrites")
    keys = home.keys
    if name not in keys:
        raise BadInput(f"there is no key {name!r} in {home.folder} yet")
    write_atomically(file, keys.export(name, passphrase=_passphrase(passphrase_file)))


def _passphrase(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("passphrase of the backup", hide_input=True, confirmation_prompt=True))
    if not file.exists():
        raise BadInput(f"there is no file {file}")
    return file.read_text().strip()


def _ask(
    home: Home,
    gateway: str,
    *,
    of: Whose,
    outlet: Outlet,
    question: Callable[[Wallet, PlatformClient, PlatformView], Awaitable[WalletView]],
) -> None:
    async def work() -> None:
        platform = PlatformClient(gateway)
        try:
            facts = await platform.platform()
            outlet.token = facts.money
            key = home.keys.secp256k1(KEY_NAMES[of])
            rpc = JsonRpc(facts.rpc_url)
            state = await question(Wallet(key, platform=platform, facts=facts, rpc=rpc), platform, facts)
            outlet.announce(
                "wallet",
                of=of,
                address=f"0x{state.address.hex()}",
                balance=state.balance,
                credit=state.credit,
            )
            outlet.say(f"address 0x{state.address.hex()}")
        finally:
            await platform.close()

    run(outlet, work)


def _address(text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        address = bytes.fromhex(digits)
    except ValueError:
        address = b""
    if len(digits) != ADDRESS_DIGITS or not address:
        raise BadInput(f"{text!r} is not an address: 0x and {ADDRESS_DIGITS} hex digits")
    return address
