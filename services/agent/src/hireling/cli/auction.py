"""``hireling auction``: let machines to who bids, look for one by bids, bid, and check what came of it."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from hireling.auctions.bids import SignedBid, seal, sign_bid
from hireling.auctions.document import AuctionDocument, verify_auction
from hireling.auctions.drafts import Times, let_machines, look_for_machine
from hireling.auctions.notice import AuctionNotice, Rule, sign_notice
from hireling.cli.auction_desk import (
    AUCTION_ID,
    Desk,
    auction_id,
    draft_bid,
    listing_of,
    note_key,
    sealed_bids,
)
from hireling.cli.outlet import NotYet, Outlet, run
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
from hireling.platform_client import PlatformClient
from hireling.platform_views import AuctionView
from hireling.rental.money import format_amount, parse_amount
from hireling.rental.signing import Signer
from hireling.rental.typed_data import to_hex

# The marketplace's clock decides, and may be a little behind ours.
CLOCK_SECONDS = 1

AuctionArgument = Annotated[str, typer.Argument(help="The auction's id, 0x-hex.")]
app = typer.Typer(
    help="Let machines to who bids, look for one by bids, bid, and check what came of it.",
    no_args_is_help=True,
)


@app.command("open")
def open_(
    rule: Annotated[
        Rule, typer.Argument(help="english, dutch or uniform let machines; reverse looks for one.")
    ],
    *,
    seconds: Annotated[int, typer.Option(min=1, help="For how long the machine is rented.")],
    machine: Annotated[
        list[str] | None, typer.Option(help="Which of this home's machines, by name; several for uniform.")
    ] = None,
    reserve: Annotated[
        int, typer.Option(min=1, max=100, help="The least price, in percent of the listed one.")
    ] = 80,
    increment: Annotated[str, typer.Option(help="By how much an English bid exceeds the best.")] = "0.001",
    kind: Annotated[str | None, typer.Option(help="reverse: which kind of machine.")] = None,
    limit: Annotated[str | None, typer.Option(help="reverse: the most that use may cost.")] = None,
    opens_in: Annotated[int, typer.Option(min=1, help="Seconds until bids come in.")] = 5,
    bidding: Annotated[int, typer.Option(min=1, help="Seconds of bidding; dutch: see --step.")] = 120,
    reveal: Annotated[int, typer.Option(min=1, help="Seconds to reveal sealed bids in.")] = 60,
    step: Annotated[int, typer.Option(min=1, help="dutch: seconds at each price.")] = 10,
    extension: Annotated[int, typer.Option(min=0, help="english: a late bid leaves so many seconds.")] = 30,
    award: Annotated[
        int, typer.Option(min=10, max=3600, help="Seconds in which a winner has to sign.")
    ] = 300,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Open an auction: its notice is signed, and nothing in it changes any more.

    The rental starts at the first quarter of an hour after all bids are in; later for a long --award.
    """
    times = Times(
        opens_in=opens_in, bidding=bidding, reveal=reveal, step=step, extension=extension, award=award
    )

    async def work(desk: Desk) -> None:
        name = None
        if rule == "reverse":
            name, key, notice = _wanted(desk, kind=kind, limit=limit, seconds=seconds, times=times)
        else:
            listings = [await listing_of(desk, each) for each in _named(machine, rule)]
            key = desk.home.keys.secp256k1("owner")
            notice = let_machines(
                rule,
                listings,
                holder=key.identity,
                seconds=seconds,
                reserve_percent=reserve,
                increment=parse_amount(increment, desk.facts.money),
                times=times,
                now=SystemClock().now(),
                salt=secrets.token_bytes(32),
            )
        signed = sign_notice(key, desk.domain, notice)
        if name is not None:
            note_key(desk.home, signed.auction_id, name)
        view = await desk.platform.open_auction(signed)
        _tell(desk, view)

    _at(work, home=home, gateway=gateway, outlet=Outlet(as_json=as_json))


@app.command("bid")
def bid(
    auction: AuctionArgument,
    *,
    amount: Annotated[
        str | None, typer.Option(help="What use may cost at worst; dutch: the clock's price by default.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option(help="reverse: which of this home's machines bids, by name.")
    ] = None,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait until sealed bids are revealed, and reveal this one."),
    ] = True,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Bid in an auction. A sealed bid is kept in this home; who does not reveal it has not bid.

    An amount between two price steps counts as the lower one.
    """

    async def work(desk: Desk) -> None:
        view = await desk.platform.auction(auction_id(auction))
        key, made = await draft_bid(desk, view, amount=amount, machine=machine)
        signed = sign_bid(key, desk.domain, made)
        if not view.notice.notice.is_sealed:
            _told_bid(desk, signed, await desk.platform.place_bid(signed))
            return
        signed = await asyncio.to_thread(sealed_bids(desk.home).keep, signed)
        _told_bid(desk, signed, await desk.platform.commit_bid(seal(key, desk.domain, signed.bid)))
        if wait:
            await _reveal(desk, signed, view.notice.notice)

    _at(work, home=home, gateway=gateway, outlet=Outlet(as_json=as_json))


@app.command("reveal")
def reveal(
    auction: AuctionArgument,
    *,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Reveal the sealed bids that this home made in an auction, waiting until it is time."""

    async def work(desk: Desk) -> None:
        kept = await asyncio.to_thread(sealed_bids(desk.home).of, auction_id(auction))
        if not kept:
            raise BadInput(f"this home made no sealed bid in {auction}")
        notice = (await desk.platform.auction(auction_id(auction))).notice.notice
        for signed in kept:
            await _reveal(desk, signed, notice)

    _at(work, home=home, gateway=gateway, outlet=Outlet(as_json=as_json))


@app.command("show")
def show(
    auction: Annotated[
        str | None, typer.Argument(help="The auction's id; without one, all live ones.")
    ] = None,
    *,
    kind: Annotated[str | None, typer.Option(help="Of this kind of machine only.")] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Show an auction, or those that are live: where it stands, what may be bid, who won."""

    async def work(desk: Desk) -> None:
        if auction is not None:
            _tell(desk, await desk.platform.auction(auction_id(auction)))
            return
        found = await desk.platform.auctions(kind=kind)
        for view in found:
            _tell(desk, view)
        if not found:
            desk.outlet.say("no auction is live")

    _at(work, home=home, gateway=gateway, outlet=Outlet(as_json=as_json))


@app.command("verify")
def verify(
    what: Annotated[str, typer.Argument(help="An auction's document, a JSON file; or its id.")],
    *,
    save: Annotated[Path | None, typer.Option(help="Keep the document in this file.")] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Recompute an auction from what was signed in it: every bid, the outcome, the awards.

    Exits with 0 when everything holds, 1 with the first thing that does not. A file needs no network.
    """
    outlet = Outlet(as_json=as_json)
    if AUCTION_ID.fullmatch(what):
        path = None if save is None else save.expanduser().absolute()
        _at(lambda desk: _verified(desk, what, path), home=home, gateway=gateway, outlet=outlet)
        return
    run(outlet, lambda: _check(outlet, _read(Path(what))))


async def _verified(desk: Desk, auction: str, save: Path | None) -> None:
    document = await desk.platform.auction_document(auction_id(auction))
    if save is not None:
        write_atomically(save, document.model_dump_json(indent=1).encode())
    await _check(desk.outlet, document)


async def _check(outlet: Outlet, document: AuctionDocument) -> None:
    check = await asyncio.to_thread(verify_auction, document)
    for passed in check.checks:
        outlet.say(f"[green]✓[/green] {passed}")
    outlet.announce("auction_verified", auction=to_hex(document.notice.auction_id), checks=len(check.checks))


def _read(path: Path) -> AuctionDocument:
    try:
        return AuctionDocument.model_validate_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BadInput(f"{path} is no auction's document: {error.errors()[0]['msg']}") from error


def _at(
    work: Callable[[Desk], Coroutine[Any, Any, None]], *, home: Path, gateway: str, outlet: Outlet
) -> None:
    async def connected() -> None:
        platform = PlatformClient(gateway)
        try:
            facts = await platform.platform()
            outlet.token = facts.money
            await work(Desk(home=Home.at(home), platform=platform, facts=facts, outlet=outlet))
        finally:
            await platform.close()

    run(outlet, connected)


def _wanted(
    desk: Desk, *, kind: str | None, limit: str | None, seconds: int, times: Times
) -> tuple[str, Signer, AuctionNotice]:
    if limit is None:
        raise BadInput("a reverse auction needs --limit, the most that use may cost")
    name = f"auction-{secrets.token_hex(8)}"
    key = desk.home.renter_keys.create(name)
    notice = look_for_machine(
        holder=key.identity,
        renter=desk.home.keys.secp256k1("wallet").identity,
        kind=kind,
        seconds=seconds,
        limit=parse_amount(limit, desk.facts.money),
        times=times,
        now=SystemClock().now(),
        salt=secrets.token_bytes(32),
    )
    return name, key, notice


def _named(machines: list[str] | None, rule: Rule) -> list[str]:
    if not machines:
        raise BadInput(f"a {rule} auction needs --machine, the name of the machine that is let")
    return machines


async def _reveal(desk: Desk, signed: SignedBid, notice: AuctionNotice) -> None:
    await asyncio.sleep(max(0, notice.closes_at + CLOCK_SECONDS - desk.now))
    if desk.now >= notice.settled_by:
        raise NotYet("the time to reveal is over: this bid does not count")
    view = await desk.platform.place_bid(signed)
    desk.outlet.announce("bid_revealed", auction=to_hex(view.auction), amount=signed.bid.amount)


def _told_bid(desk: Desk, signed: SignedBid, view: AuctionView) -> None:
    desk.outlet.announce(
        "bid",
        auction=to_hex(view.auction),
        bidder=to_hex(signed.bid.bidder),
        amount=signed.bid.amount,
        phase=view.outcome.phase,
    )


def _tell(desk: Desk, view: AuctionView) -> None:
    notice, money = view.notice.notice, desk.facts.money
    outcome = view.outcome
    desk.outlet.announce(
        "auction",
        auction=to_hex(view.auction),
        rule=notice.rule,
        phase="done" if view.done else outcome.phase,
        came=view.came,
        least=format_amount(notice.reserve, money),
        most=format_amount(notice.limit, money),
        next_amount=None if view.next_amount is None else format_amount(view.next_amount, money),
        closes_at=str(outcome.ends_at),
        seconds=notice.seconds,
    )
    for award in view.awards:
        desk.outlet.announce(
            "award",
            auction=to_hex(view.auction),
            bidder=to_hex(award.award.bidder),
            device=to_hex(award.award.device),
            price=award.award.price,
            until=str(award.award.until),
            state=award.state,
        )
