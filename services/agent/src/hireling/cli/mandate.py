"""``hireling mandate`` and the words around it: what agents may sign, and how people stop and answer them."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

from hireling.approvals import Approvals, Wanted
from hireling.cli.outlet import Outlet, run
from hireling.cli.surroundings import (
    DEFAULT_GATEWAY,
    DEFAULT_HOME,
    GatewayOption,
    Home,
    HomeOption,
    JsonOption,
)
from hireling.cli.wallet import KEY_NAMES, WhoseOption
from hireling.clock import SystemClock
from hireling.device.delegate import DelegateFile
from hireling.drivers.driver import BadInput
from hireling.mandate_ledger import Account, MandateLedger
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformUnreachable
from hireling.platform_views import PlatformView
from hireling.rental.approval import sign_approval
from hireling.rental.mandate import (
    REVOCATION_BYTES,
    MandateLimits,
    SignedRevocation,
    sign_mandate,
    sign_revocation,
)
from hireling.rental.money import parse_amount
from hireling.rental.typed_data import Domain, from_hex

UNBOUNDED = (1 << 96) - 1
LONGEST_WINDOW_SECONDS = 30 * 24 * 3600
RENTAL_ID_TEXT = 66

app = typer.Typer(help="What your agents may sign: caps, and taking them back.", no_args_is_help=True)


@app.command("grant")
def grant(
    *,
    per_rental: Annotated[str, typer.Option(help="The most of one rental, price and deposit together.")],
    total: Annotated[str, typer.Option(help="The most of all rentals; what is not used is free again.")],
    hours: Annotated[int, typer.Option(min=1, help="How long it holds.")] = 24,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind of machine; may be repeated.")
    ] = None,
    max_rate: Annotated[str | None, typer.Option(help="The most that an hour of use may cost.")] = None,
    approval_above: Annotated[
        str | None, typer.Option(help="From more than this on, a person has to agree.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Bound what `hireling rent` may sign from now on, in however many rentals at once.

    Without one, each rental has a mandate of its own: its price at most, and its deposit.
    """
    outlet, at = Outlet(as_json=as_json), Home.at(home)

    async def work(platform: PlatformClient, facts: PlatformView) -> None:
        token = facts.money
        limits = MandateLimits(
            per_rental=parse_amount(per_rental, token),
            total=parse_amount(total, token),
            max_rate_per_hour=UNBOUNDED if max_rate is None else parse_amount(max_rate, token),
            kinds=tuple(kind or ()),
            arbiters=(facts.arbiter,),
            tokens=(facts.token.address,),
            max_fee_bps=facts.fee_bps,
            longest_notice=LONGEST_WINDOW_SECONDS,
            longest_claim_window=LONGEST_WINDOW_SECONDS,
            longest_challenge_window=LONGEST_WINDOW_SECONDS,
            approval_above=None if approval_above is None else parse_amount(approval_above, token),
        )
        now = SystemClock().now()
        signed = sign_mandate(
            at.keys.secp256k1("wallet"),
            domain_of(facts),
            agent=at.renter_keys.load_or_create("agent").identity,
            limits=limits,
            valid_until=int((now + timedelta(hours=hours)).timestamp()),
            revocation=secrets.token_bytes(32),
        )
        await asyncio.to_thread(MandateLedger(at.ledger).grant, signed, domain_of(facts), now)
        mandate = f"0x{signed.mandate.revocation.hex()}"
        outlet.announce("mandate_granted", mandate=mandate, total=limits.total, hours=hours)

    with_platform(outlet, gateway, work)


@app.command("show")
def show(
    *, home: HomeOption = DEFAULT_HOME, gateway: GatewayOption = DEFAULT_GATEWAY, as_json: JsonOption = False
) -> None:
    """Show what each granted mandate has promised and spent, and what is left."""
    outlet, at = Outlet(as_json=as_json), Home.at(home)

    async def work(_: PlatformClient, facts: PlatformView) -> None:
        accounts = await asyncio.to_thread(MandateLedger(at.ledger).accounts, SystemClock().now())
        for account in accounts:
            outlet.announce(
                "mandate",
                mandate=f"0x{account.signed.mandate.revocation.hex()}",
                total=account.signed.limits.total,
                reserved=account.reserved,
                spent=account.spent,
                left=account.left,
                state=_state(account, SystemClock().now()),
            )
        if not accounts:
            outlet.say("no mandate was granted: each rental has one of its own")

    with_platform(outlet, gateway, work)


@app.command("revoke")
def revoke(
    mandate: Annotated[str, typer.Argument(help="Which: its 0x id, as `mandate show` tells it.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Take a mandate back for good: nothing more is signed under it, here at once and by the marketplace."""
    outlet, at = Outlet(as_json=as_json), Home.at(home)
    subject = _hex(mandate)
    if len(subject) != REVOCATION_BYTES:
        outlet.fail(BadInput(f"a mandate's id has {REVOCATION_BYTES} bytes, not {len(subject)}"))
    say_word(outlet, at, gateway, names=("wallet",), subject=subject, stands=True)


def stop(
    *,
    machine: Annotated[
        str | None, typer.Option(help="Only this machine's agent, by the name it is run under.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Stop agents: nothing more is offered or signed, by any agent of this home's owner and wallet.

    Rentals that both sides signed go on. `hireling go` lifts it.
    """
    _switch(Outlet(as_json=as_json), Home.at(home), gateway, machine=machine, stands=True)


def go(
    *,
    machine: Annotated[str | None, typer.Option(help="Only this machine's agent.")] = None,
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Let agents go on that `hireling stop` stopped."""
    _switch(Outlet(as_json=as_json), Home.at(home), gateway, machine=machine, stands=False)


def approve(
    which: Annotated[
        str | None,
        typer.Argument(help="The session's or rental's id, or its start. Default: show all."),
    ] = None,
    *,
    no: Annotated[bool, typer.Option("--no", help="Forbid it.")] = False,
    of: WhoseOption = "owner",
    home: HomeOption = DEFAULT_HOME,
    gateway: GatewayOption = DEFAULT_GATEWAY,
    as_json: JsonOption = False,
) -> None:
    """Let an agent sign what is above its approval threshold, or forbid it; without an id, show what waits.

    For an agent of another home, give the rental's whole id: the word goes through the marketplace, signed by
    this home's owner or, with --of renter, its wallet.
    """
    outlet, at = Outlet(as_json=as_json), Home.at(home)
    approvals, now = Approvals(at.ledger), SystemClock().now()
    if which is None:
        _show(outlet, gateway, approvals.waiting(now))
        return
    try:
        answered = approvals.answer(which.removeprefix("0x"), approved=not no, now=now)
    except ValueError as error:
        outlet.fail(BadInput(str(error)))
    for each in answered:
        outlet.announce("answered", quote_id=each.session, words=each.words, approved=not no)
    if answered:
        return
    if len(which) != RENTAL_ID_TEXT:
        outlet.fail(BadInput(f"nothing of this home that begins with {which} waits for an answer"))
    _answer_elsewhere(outlet, at, gateway, rental_id=_hex(which), granted=not no, name=KEY_NAMES[of])


def _answer_elsewhere(
    outlet: Outlet, at: Home, gateway: str, *, rental_id: bytes, granted: bool, name: str
) -> None:
    async def work(platform: PlatformClient, facts: PlatformView) -> None:
        now = int(SystemClock().now().timestamp())
        key = at.keys.secp256k1(name)
        word = sign_approval(key, domain_of(facts), rental_id=rental_id, granted=granted, at=now)
        counts = await platform.approve(word)
        rental = f"0x{rental_id.hex()}"
        outlet.announce("answered", quote_id=rental, words="elsewhere", approved=counts.approval.granted)

    with_platform(outlet, gateway, work)


def _show(outlet: Outlet, gateway: str, waiting: Sequence[Wanted]) -> None:
    async def work(_: PlatformClient, facts: PlatformView) -> None:
        for each in waiting:
            outlet.announce(
                "approval_wanted",
                quote_id=each.session,
                rental_id=f"0x{each.rental_id.hex()}",
                all_in=each.all_in,
                words=each.words,
                answer_by=each.answer_by.isoformat(timespec="seconds"),
            )
            outlet.say(f"          hireling approve {each.session[:8]}, or with --no")
        if not waiting:
            outlet.say("nothing waits for your word")

    with_platform(outlet, gateway, work)


def _switch(outlet: Outlet, at: Home, gateway: str, *, machine: str | None, stands: bool) -> None:
    subjects = [b""]
    if machine is not None:
        keys = at.keystore(at.device(machine) / "keys")
        if "agent" not in keys:
            outlet.fail(BadInput(f"no machine was run as {machine!r} from {at.folder}"))
        # Its own agent, and the marketplace's delegate where there is one.
        order = DelegateFile(at.device(machine)).read()
        subjects = [keys.load("agent").identity, *([order.signed.appointment.delegate] if order else [])]
    names = tuple(name for name in ("owner", "wallet") if name in at.keys)
    if not names:
        outlet.fail(BadInput(f"{at.folder} has neither an owner nor a wallet: there is nobody to stop"))
    for subject in subjects:
        say_word(outlet, at, gateway, names=names, subject=subject, stands=stands)


def say_word(
    outlet: Outlet, at: Home, gateway: str, *, names: Sequence[str], subject: bytes, stands: bool
) -> None:
    """Sign the word, note it here first, where it holds at once, and then tell the marketplace."""

    async def whole() -> None:
        platform = PlatformClient(gateway)
        try:
            domain = await _domain_or_remembered(platform, at)
            await _spread(platform, domain)
        finally:
            await platform.close()

    async def _spread(platform: PlatformClient, domain: Domain) -> None:
        ledger, now = MandateLedger(at.ledger), int(SystemClock().now().timestamp())
        words: list[SignedRevocation] = []
        for name in names:
            key = at.keys.secp256k1(name)
            # Later than any word of ours, even one that was said while this clock was ahead.
            known = await asyncio.to_thread(ledger.latest_word_at, key.identity, subject)
            word = sign_revocation(key, domain, subject=subject, stands=stands, at=max(now, known + 1))
            await asyncio.to_thread(ledger.revoke, word, domain)
            words.append(word)
        for word in words:
            counts = await platform.revoke(word)
            await asyncio.to_thread(ledger.revoke, counts, domain)
            who = f"0x{word.principal.hex()}"
            if counts.revocation.stands != stands:
                raise BadInput(f"the marketplace holds a later word of {who}, of {counts.revocation.at}")
            outlet.announce("stopped" if counts.revocation.stands else "lifted", principal=who)

    run(outlet, whole)


async def _domain_or_remembered(platform: PlatformClient, at: Home) -> Domain:
    """Return the marketplace's domain, as a machine of this home remembers it where nobody answers.

    A stop that cannot be told to the marketplace yet holds for this home's agents all the same.
    """
    try:
        return domain_of(await platform.platform())
    except PlatformUnreachable:
        for path in sorted(at.folder.glob("devices/*/marketplace.json")):
            return domain_of(PlatformView.model_validate_json(path.read_bytes()))
        raise


def with_platform(
    outlet: Outlet, gateway: str, work: Callable[[PlatformClient, PlatformView], Awaitable[None]]
) -> None:
    """Do a command's work at the marketplace."""

    async def whole() -> None:
        platform = PlatformClient(gateway)
        try:
            facts = await platform.platform()
            outlet.token = facts.money
            await work(platform, facts)
        finally:
            await platform.close()

    run(outlet, whole)


def domain_of(facts: PlatformView) -> Domain:
    """Return the marketplace's domain."""
    return Domain(chain_id=facts.chain_id, escrow=facts.escrow)


def _state(account: Account, now: datetime) -> str:
    if account.revoked:
        return "revoked"
    return "expired" if now.timestamp() > account.signed.mandate.valid_until else "holds"


def _hex(text: str) -> bytes:
    try:
        return from_hex(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
