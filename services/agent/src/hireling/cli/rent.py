"""``hireling rent``: rent a machine, to a verified bill."""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from hireling.approvals import Approvals
from hireling.bargaining.phrases import NotUnderstood, RenterSays, renter_says
from hireling.bargaining.wishes import RenterWishes
from hireling.cli.auction_desk import award_in
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
from hireling.drivers.driver import BadInput
from hireling.json_rpc import JsonRpc
from hireling.mandate_ledger import MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_views import ListingView, PlatformView
from hireling.rental.money import format_amount, parse_amount
from hireling.rental.table import START_STEP
from hireling.renter.agent import RenterAgent, cheapest
from hireling.renter.bargainer import Brief, NoDeal
from hireling.renter.book import Page, RenterBook
from hireling.renter.resuming import Resuming
from hireling.renter.settling import Kept
from hireling.renter.wallet import Wallet

FIND_WITHIN_SECONDS = 30.0
FIND_AGAIN_SECONDS = 1.0


class Interrupted(NoDeal):
    """The user left before the end."""


@dataclass(frozen=True)
class Order:
    """Everything that `rent` was asked for."""

    home: Home
    gateway: str
    bills: Path
    listing: str | None
    device: str | None
    kind: str | None
    budget: str | None
    seconds: int | None
    says: str
    on_approval: str | None
    faucet: str | None
    stop_after: int | None
    start_at: int | None
    resume: bool
    auction: str | None


def rent(
    *,
    listing: Annotated[
        str | None, typer.Argument(help="Which listing: its hash or the start of it, or a part of its title.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Which machine, by its 0x id.")] = None,
    kind: Annotated[str | None, typer.Option(help="Which kind; the cheapest one online is taken.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most that use may cost; the deposit comes on top and returns.")
    ] = None,
    seconds: Annotated[
        int | None, typer.Option(min=1, help="For how long at most. Default: what the listing suggests.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            help="When to begin: 18:30, or 2027-01-31T18:30; at a quarter of an hour. Default: now."
        ),
    ] = None,
    says: Annotated[
        str, typer.Option(help="What you want, such as: never over 90 %, start within 30 min.")
    ] = "",
    stop_after: Annotated[
        int | None, typer.Option(min=0, help="Stop the machine after so many seconds of use.")
    ] = None,
    on_approval: Annotated[
        str | None, typer.Option(help="Command to run when a person is asked; it reads the question as JSON.")
    ] = None,
    faucet: Annotated[
        str | None, typer.Option(help="Have at least this much test money first (development chains).")
    ] = None,
    auction: Annotated[
        str | None, typer.Option(help="Take what this home was awarded in an auction, by its id.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the rentals that were interrupted.")
    ] = False,
    bills: Annotated[
        Path | None, typer.Option(help="Where bills go. Default: bills/ in the home folder.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Rent a machine: bargain, pay a block ahead, check every reading, keep the verified bill.

    Ctrl-C stops the machine and waits for the bill; a second Ctrl-C leaves at once, and --resume goes on
    later. With --start the machine is booked and paid into escrow now; before it begins, Ctrl-C calls it off.
    """
    outlet = Outlet(as_json=as_json)
    at = Home.at(home)
    order = Order(
        home=at,
        gateway=gateway,
        bills=(bills or at.bills).expanduser().absolute(),
        listing=listing,
        device=device,
        kind=kind,
        budget=budget,
        seconds=seconds,
        says=says,
        on_approval=on_approval,
        faucet=faucet,
        stop_after=stop_after,
        start_at=None if start is None else _start_at(start, now=datetime.now().astimezone()),
        resume=resume,
        auction=auction,
    )
    if not run(outlet, lambda: _rent(order, outlet)):
        raise typer.Exit(1)


def _start_at(text: str, *, now: datetime) -> int:
    """Return a start in Unix seconds: a time of day is the next one, in ``now``'s zone."""
    try:
        if "T" in text or " " in text:
            start = datetime.fromisoformat(text)
            start = start if start.tzinfo else start.replace(tzinfo=now.tzinfo)
        else:
            start = datetime.combine(now.date(), time.fromisoformat(text), now.tzinfo)
            start += timedelta(days=1 if start < now else 0)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no time: {error}", param_hint="--start") from error
    at = int(start.timestamp())
    if at % START_STEP or at < now.timestamp():
        raise typer.BadParameter(
            f"{start:%Y-%m-%d %H:%M} is past, or no quarter of an hour", param_hint="--start"
        )
    return at


async def _rent(order: Order, outlet: Outlet) -> bool:
    platform = PlatformClient(order.gateway)
    try:
        facts = await platform.platform()
        outlet.token = facts.money
        key = order.home.keys.secp256k1("wallet")
        rpc = JsonRpc(facts.rpc_url)
        book = RenterBook(order.home.renter_book)
        wallet = Wallet(key, platform=platform, facts=facts, rpc=rpc)
        agent = RenterAgent(
            platform=platform,
            facts=facts,
            wallet=wallet,
            wallet_key=key,
            keys=order.home.renter_keys,
            book=book,
            bills=order.bills,
            clock=SystemClock(),
            announce=outlet.announce,
            brief=Brief(
                wishes=_said(order.says).wishes,
                hook=order.on_approval,
                ledger=MandateLedger(order.home.ledger),
                approvals=Approvals(order.home.ledger),
                decisions=DecisionLog(order.home.decisions, side="renter"),
            ),
            stop_after=None if order.stop_after is None else timedelta(seconds=order.stop_after),
        )
        if order.faucet is not None:
            await _fill(order.faucet, wallet, platform, facts)
        work = _work(order=order, outlet=outlet, agent=agent, book=book, platform=platform, facts=facts)
        return await _interruptible(agent, work, outlet)
    finally:
        await platform.close()


async def _work(
    *,
    order: Order,
    outlet: Outlet,
    agent: RenterAgent,
    book: RenterBook,
    platform: PlatformClient,
    facts: PlatformView,
) -> bool:
    unfinished = list(book.unfinished())
    if order.resume:
        if not unfinished:
            raise NoDeal("no rental was interrupted")
        await _resume(book, agent, outlet, facts)
        return True
    for page in unfinished:
        rental_id = f"0x{page.agreement.rental_id.hex()}"
        outlet.say(f"[yellow]a rental is unfinished: {rental_id}; --resume goes on with it[/yellow]")
    if order.auction is not None:
        return _report(await _take(order.auction, order.home, agent, platform), outlet, facts)
    most = order.budget or _said(order.says).budget
    budget = None if most is None else parse_amount(most, facts.money)
    chosen = await _find(order, platform)
    kept_now = await agent.rent(chosen, seconds=order.seconds, budget=budget, start_at=order.start_at)
    return _report(kept_now, outlet, facts)


async def _resume(book: RenterBook, agent: RenterAgent, outlet: Outlet, facts: PlatformView) -> None:
    async def carry(page: Page) -> Kept | None:
        kept = await agent.carry(page)
        _report(kept, outlet, facts)
        return kept

    await Resuming(book=book, carry=carry, clock=SystemClock(), announce=outlet.announce).resume()


async def _take(auction: str, home: Home, agent: RenterAgent, platform: PlatformClient) -> Kept | None:
    notice, award, key = await award_in(home, platform, auction)
    listing = await platform.listing(f"0x{award.listing.hex()}")
    return await agent.take(
        listing, seconds=notice.seconds, start_at=notice.start_at, won=award.price, session_key=key
    )


def _said(text: str) -> RenterSays:
    try:
        return renter_says(text, RenterWishes())
    except NotUnderstood as error:
        raise BadInput(str(error)) from error


async def _interruptible(agent: RenterAgent, work: Coroutine[Any, Any, bool], outlet: Outlet) -> bool:
    """Do the work; the first Ctrl-C stops the machine, the second, or SIGTERM, leaves at once."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    pressed: list[int] = []

    def leave() -> None:
        pressed.append(signal.SIGTERM)
        task.cancel()

    def stop() -> None:
        if pressed:
            leave()
            return
        pressed.append(signal.SIGINT)
        outlet.say("stopping the machine; Ctrl-C again leaves at once")
        agent.stop()

    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, leave)
    try:
        return await task
    except asyncio.CancelledError:
        if not pressed:
            raise
        raise Interrupted("left; `hireling rent --resume` goes on with the rental") from None


async def _fill(wanted: str, wallet: Wallet, platform: PlatformClient, facts: PlatformView) -> None:
    """Draw test money until the wallet holds what is wanted. Raises BadInput on a chain without a faucet."""
    amount = parse_amount(wanted, facts.money)
    if not facts.faucet:
        raise BadInput("--faucet works on a development chain only")
    balance = (await wallet.state()).balance
    while balance < amount:
        before, balance = balance, (await platform.faucet(wallet.address)).balance
        if balance <= before:
            raise BadInput(
                f"the faucet gives no more: the wallet holds {format_amount(balance, facts.money)}"
            )


async def _find(order: Order, platform: PlatformClient) -> ListingView:
    """Return the wanted machine's listing, waiting a little for one that is just coming online.

    Raises NoDeal.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + FIND_WITHIN_SECONDS
    is_named = order.device is not None or order.listing is not None
    while True:
        listings = [
            listing
            for listing in await platform.listings(kind=order.kind, limit=200)
            if _fits(listing, order)
        ]
        try:
            return cheapest(listings, seconds=order.seconds)
        except NoDeal:
            if not is_named or loop.time() > until:
                raise
        await asyncio.sleep(FIND_AGAIN_SECONDS)


def _fits(listing: ListingView, order: Order) -> bool:
    if order.device is not None and f"0x{listing.document.device.hex()}" != order.device.lower():
        return False
    if order.listing is None:
        return True
    is_hash = f"0x{listing.listing.hex()}".startswith(order.listing.lower()) and order.listing.startswith(
        "0x"
    )
    return is_hash or order.listing.lower() in listing.document.title.lower()


def _report(kept: Kept | None, outlet: Outlet, facts: PlatformView) -> bool:
    if kept is None:
        return False
    bill = kept.signed.bill
    outlet.say(
        f"paid {format_amount(bill.total, facts.money)}, of it fee {format_amount(bill.fee, facts.money)};"
        f" back: {format_amount(bill.refund, facts.money)} and the deposit"
        f" {format_amount(bill.deposit_returned, facts.money)}"
    )
    return True
