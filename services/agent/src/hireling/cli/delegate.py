"""``hireling delegate``: let the marketplace bargain for a machine that cannot, inside signed bounds."""

import asyncio
import contextlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from hireling.bargaining.delegating import TENTHS
from hireling.bargaining.phrases import NotUnderstood, owner_says
from hireling.bargaining.wishes import OwnerWishes
from hireling.cli.mandate import UNBOUNDED, domain_of, say_word, with_platform
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
from hireling.decision_log import DecisionLog, Story
from hireling.device.delegate import DelegateFile
from hireling.device.presence import HIGHEST_FEE_BPS, LONGEST_WINDOW_SECONDS
from hireling.drivers.driver import BadInput
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound, PlatformRefused, PlatformUnreachable
from hireling.platform_views import PlatformView
from hireling.rental.appointment import (
    DelegateBounds,
    DelegateOrder,
    DelegateWishes,
    sign_inquiry,
    sign_order,
)
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import MandateLimits, sign_mandate
from hireling.rental.money import parse_amount
from hireling.rental.tariff import max_rate_per_hour, scaled
from hireling.rental.terms import device_id
from hireling.rental.typed_data import from_hex, to_hex

MOST_DAYS = 365
VERBS = {"offer": "offered", "sign": "signed", "leave": "left it"}

app = typer.Typer(
    help="Let the marketplace bargain for a machine that cannot, inside bounds that you sign.",
    no_args_is_help=True,
)
NameOption = Annotated[str, typer.Option(help="Which machine: the name it was run under.")]


@app.command("appoint")
def appoint(
    *,
    name: NameOption,
    floor: Annotated[
        int, typer.Option(min=1, max=100, help="Least share of the price listed now, in percent.")
    ] = 80,
    ceiling: Annotated[
        int, typer.Option(min=1, max=1000, help="Most of the price listed now, in percent.")
    ] = 100,
    least_deposit: Annotated[str, typer.Option(help="Least deposit.")] = "0",
    most_deposit: Annotated[
        str | None, typer.Option(help="Most deposit. Default: the one that is listed.")
    ] = None,
    shortest: Annotated[int, typer.Option(min=1, help="Seconds that a rental takes at least.")] = 1,
    longest: Annotated[
        int | None, typer.Option(min=1, help="Seconds that a rental takes at most. Default: as listed.")
    ] = None,
    total: Annotated[
        str | None, typer.Option(help="The most that all its rentals may come to. Default: no cap.")
    ] = None,
    says: Annotated[
        str, typer.Option(help="What you want inside the bounds: prefer evenings, short rentals fine.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="How long it holds.")] = 30,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Appoint the marketplace's delegate for a machine that `hireling device run` listed before.

    The bounds are absolute, taken from what is listed now: no later listing moves them. A running `hireling
    device run` takes notice within seconds and lists the machine in the delegate's name.
    """
    outlet, at = Outlet(as_json=as_json), Home.at(home)

    async def work(platform: PlatformClient, facts: PlatformView) -> None:
        device = _device(at, name)
        listing = await _listing(platform, device)
        if floor > ceiling or (longest or shortest) < shortest:
            raise BadInput("--floor is above --ceiling, or --shortest above --longest")
        bounds = DelegateBounds(
            floor=scaled(listing.tariff, floor, 100),
            ceiling=scaled(listing.tariff, ceiling, 100),
            least_deposit=parse_amount(least_deposit, facts.money),
            most_deposit=listing.deposit if most_deposit is None else parse_amount(most_deposit, facts.money),
            shortest_seconds=shortest,
            longest_seconds=longest or listing.max_seconds,
            wishes=_wishes(says),
            salt=secrets.token_bytes(32),
        )
        limits = MandateLimits(
            per_rental=UNBOUNDED,
            total=UNBOUNDED if total is None else parse_amount(total, facts.money),
            max_rate_per_hour=UNBOUNDED,
            kinds=(listing.kind,),
            arbiters=(facts.arbiter,),
            tokens=(facts.token.address,),
            max_fee_bps=HIGHEST_FEE_BPS,
            longest_notice=LONGEST_WINDOW_SECONDS,
            longest_claim_window=LONGEST_WINDOW_SECONDS,
            longest_challenge_window=LONGEST_WINDOW_SECONDS,
        )
        order = await _ordered(at, platform, facts, device=device, bounds=bounds, limits=limits, days=days)
        await platform.appoint(order)
        await asyncio.to_thread(DelegateFile(at.device(name)).write, order)
        delegate = to_hex(order.signed.appointment.delegate)
        outlet.announce("delegate_appointed", device=to_hex(device), delegate=delegate, days=days)
        _announce(outlet, order, state="appointed")

    with_platform(outlet, gateway, work)


@app.command("show")
def show(
    *,
    name: NameOption,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Show a machine's delegate and its bounds, and whether it stands at the marketplace."""
    outlet, at = Outlet(as_json=as_json), Home.at(home)

    async def work(platform: PlatformClient, _: PlatformView) -> None:
        order = DelegateFile(at.device(name)).read()
        if order is None:
            outlet.say(f"{name} has no delegate of this home: its own agent bargains")
            return
        try:
            standing = await platform.appointment(order.signed.appointment.device)
        except PlatformNotFound:
            standing = None
        _announce(outlet, order, state="stands" if standing == order.signed else "does not stand any more")

    with_platform(outlet, gateway, work)


@app.command("revoke")
def revoke(
    *,
    name: NameOption,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Take a delegate's appointment back for good: it signs nothing more, and its key is erased.

    Rentals that both sides signed go on. The machine's own agent bargains again.
    """
    outlet, at = Outlet(as_json=as_json), Home.at(home)
    kept = DelegateFile(at.device(name))
    order = kept.read()
    if order is None:
        outlet.fail(BadInput(f"{name} has no delegate of this home"))
    say_word(outlet, at, gateway, names=("owner",), subject=order.mandate.mandate.revocation, stands=True)
    kept.forget()


def ask_delegate(outlet: Outlet, at: Home, gateway: str, session: str) -> None:
    """Tell what a delegate did in a session, and keep its record beside those of this home's own agents.

    Nothing, where none took part or the marketplace is away: then what this home has is all there is.
    """

    async def work(platform: PlatformClient) -> None:
        facts = await platform.platform()
        now = int(SystemClock().now().timestamp())
        subject = from_hex(f"0x{session}")
        inquiry = sign_inquiry(at.keys.secp256k1("owner"), domain_of(facts), subject=subject, at=now)
        try:
            told = await platform.delegate_story(session, inquiry)
        except PlatformRefused:
            return  # None took part, or it is another owner's.
        for move in told.moves:
            outlet.announce("delegate_move", turn=move.round, move=VERBS[move.move], reason=move.reason)
        if told.story is not None:
            story = Story.model_validate(told.story, strict=False)
            await asyncio.to_thread(DecisionLog(at.decisions, side="owner").keep_story, story)

    async def whole() -> None:
        platform = PlatformClient(gateway)
        try:
            with contextlib.suppress(PlatformUnreachable):
                await work(platform)
        finally:
            await platform.close()

    run(outlet, whole)


async def _ordered(
    at: Home,
    platform: PlatformClient,
    facts: PlatformView,
    *,
    device: bytes,
    bounds: DelegateBounds,
    limits: MandateLimits,
    days: int,
) -> DelegateOrder:
    """Have the marketplace make the key, and sign for it."""
    owner, domain = at.keys.secp256k1("owner"), domain_of(facts)
    valid_until = int((SystemClock().now() + timedelta(days=days)).timestamp())
    mandate = sign_mandate(
        owner,
        domain,
        agent=await platform.delegate_key(device),
        limits=limits,
        valid_until=valid_until,
        revocation=secrets.token_bytes(32),
    )
    return sign_order(owner, domain, device=device, bounds=bounds, mandate=mandate, valid_until=valid_until)


def _announce(outlet: Outlet, order: DelegateOrder, *, state: str) -> None:
    said, bounds = order.signed.appointment, order.bounds
    outlet.announce(
        "delegate",
        delegate=to_hex(said.delegate),
        device=to_hex(said.device),
        state=state,
        least_per_hour=max_rate_per_hour(bounds.floor),
        most_per_hour=max_rate_per_hour(bounds.ceiling),
        least_deposit=bounds.least_deposit,
        most_deposit=bounds.most_deposit,
        shortest=f"{bounds.shortest_seconds}",
        longest=f"{bounds.longest_seconds}",
        valid_until=f"{datetime.fromtimestamp(said.valid_until, UTC):%Y-%m-%d %H:%M} UTC",
    )


def _device(at: Home, name: str) -> bytes:
    keys = at.keystore(at.device(name) / "keys")
    if "meter" not in keys or "owner" not in at.keys:
        raise BadInput(f"no machine was run as {name!r} from {at.folder}: run it once, so that it is listed")
    return device_id(keys.load("meter").identity)


async def _listing(platform: PlatformClient, device: bytes) -> ListingDocument:
    listed = (await platform.device(device)).listing
    if listed is None:
        raise BadInput("the machine was never listed: run it once")
    return (await platform.listing(to_hex(listed))).document


def _wishes(says: str) -> DelegateWishes:
    try:
        said = owner_says(says, OwnerWishes())
    except NotUnderstood as error:
        raise BadInput(str(error)) from error
    if said.least_price is not None or said.wishes.least_price_percent > 1:
        raise BadInput("what it may never go under is --floor, in percent of the price listed now")
    offset = SystemClock().now().astimezone().utcoffset() or timedelta(0)
    return DelegateWishes(
        prefer=said.wishes.prefer,
        utc_offset_minutes=int(offset.total_seconds()) // 60,
        shortest_percent=said.wishes.shortest_percent,
        least_deposit_percent=said.wishes.least_deposit_percent,
        walk_away_percent=said.wishes.walk_away_percent,
        weight_tenths={name: round(weight * TENTHS) for name, weight in said.wishes.weights.items()},  # type: ignore[misc]
    )
