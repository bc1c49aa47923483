"""``hireling x402``: rent machines for whoever pays by HTTP 402."""

import asyncio
import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer

from hireling.approvals import Approvals
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
from hireling.decision_log import DecisionLog
from hireling.device.chain import EscrowReader, WrongChain
from hireling.drivers.driver import BadInput
from hireling.durable import make_private_folder
from hireling.json_rpc import JsonRpc
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView
from hireling.rental.money import parse_amount
from hireling.renter.bargainer import Brief
from hireling.renter.wallet import Wallet
from hireling.x402.carrier import Carrier
from hireling.x402.desk import Desk
from hireling.x402.payments import PaymentBook
from hireling.x402.register import Register, Tools
from hireling.x402.server import Doors, Server
from hireling.x402.token import Token

DEFAULT_PORT = 8402
KEY_NAME = "x402"


@dataclass(frozen=True)
class Order:
    """Everything that the front was asked for."""

    home: Home
    gateway: str
    host: str
    port: int
    public_url: str | None
    fee: str
    rpc_url: str | None


def x402(
    *,
    host: Annotated[str, typer.Option(help="Where to listen; anything but this needs TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    public_url: Annotated[
        str | None, typer.Option(help="How payers reach it, such as https://x402.example.")
    ] = None,
    fee: Annotated[str, typer.Option(help="Your fee for each rental in which something was used.")] = "0",
    rpc_url: Annotated[
        str | None, typer.Option(help="Your own chain node. Default: the one the marketplace names.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Serve rentals by HTTP 402 (x402 version 2), until Ctrl-C.

    It takes payments to a wallet of its own, rents in its own name and sends back what was not used. Whatever
    was interrupted goes on at the next start.
    """
    order = Order(
        home=Home.at(home),
        gateway=gateway,
        host=host,
        port=port,
        public_url=public_url,
        fee=fee,
        rpc_url=rpc_url,
    )
    outlet = Outlet(as_json=as_json)
    run(outlet, lambda: _serve(order, outlet))


async def _serve(order: Order, outlet: Outlet) -> None:
    platform = PlatformClient(order.gateway)
    try:
        with _alone(order):
            facts = await platform.platform()
            outlet.token = facts.money
            rpc = JsonRpc(order.rpc_url or facts.rpc_url)
            try:
                await _check_chain(rpc, facts)
                await _open(order, outlet, platform=platform, facts=facts, rpc=rpc)
            finally:
                await rpc.close()
    finally:
        await platform.close()


async def _open(
    order: Order, outlet: Outlet, *, platform: PlatformClient, facts: PlatformView, rpc: JsonRpc
) -> None:
    tools = _tools(order, outlet, platform=platform, facts=facts, rpc=rpc)
    register = Register(tools.book, outlet.announce)
    carrier = Carrier(tools, register)
    desk = Desk(
        tools,
        register,
        carrier,
        domain=await tools.wallet.token_domain(),
        fee=parse_amount(order.fee, facts.money),
    )
    doors = Doors(
        desk,
        register,
        carrier,
        network=f"eip155:{facts.chain_id}",
        public_url=order.public_url,
    )
    try:
        server = Server(doors, host=order.host, port=order.port)
    except OSError as error:
        raise BadInput(f"{order.host}:{order.port} cannot be listened on: {error}") from error
    carrier.resume()
    outlet.announce("x402_ready", port=server.port, address=f"0x{tools.wallet.address.hex()}")
    try:
        await _until_told()
    finally:
        await server.close()
        await carrier.close()


def _tools(
    order: Order, outlet: Outlet, *, platform: PlatformClient, facts: PlatformView, rpc: JsonRpc
) -> Tools:
    home, key = order.home, order.home.keys.secp256k1(KEY_NAME)
    return Tools(
        platform=platform,
        facts=facts,
        wallet=Wallet(key, platform=platform, facts=facts, rpc=rpc),
        wallet_key=key,
        keys=home.renter_keys,
        token=Token(rpc, facts.token.address, confirmations=facts.confirmations),
        escrow=EscrowReader(rpc, confirmations=facts.confirmations),
        book=PaymentBook(home.x402 / "payments"),
        bills=home.bills,
        brief=Brief(
            ledger=MandateLedger(home.ledger),
            approvals=Approvals(home.ledger),
            decisions=DecisionLog(home.decisions, side="renter"),
        ),
        clock=SystemClock(),
        announce=outlet.announce,
    )


async def _check_chain(rpc: JsonRpc, facts: PlatformView) -> None:
    chain_id = await rpc.chain_id()
    if chain_id != facts.chain_id:
        raise WrongChain(f"the node is on chain {chain_id}, the marketplace on chain {facts.chain_id}")


async def _until_told() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, told.set)
    await told.wait()


@contextmanager
def _alone(order: Order) -> Iterator[None]:
    """Hold the home's payments alone: two fronts on one book would each rent for the same payment."""
    with (make_private_folder(order.home.x402) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(f"another x402 front runs on {order.home.folder}") from error
        yield
