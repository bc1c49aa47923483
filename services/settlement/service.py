"""The settlement service's entrypoints, and the timers that drive the chain.

An entrypoint decodes, decides, stores and answers.
"""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from sqlmodel import Session

from hireling.rental.escrow_math import ALREADY_OPEN
from hireling.rental.states import TERMINAL, State
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.concurrency import GreenFlag
from services.chassis.database import Database
from services.chassis.entrypoints import on_event, rpc, timer
from services.chassis.gathering import on_events
from services.chassis.tracing import rental_work
from services.messages.errors import Conflict, Invalid, Refused, Unavailable
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.metering import (
    CeilingAccepted,
    DayClosed,
    FlagCleared,
    Flagged,
    UsageAccepted,
)
from services.messages.events.negotiation import Agreed
from services.messages.page import Page
from services.messages.settlement import (
    CloseHalf,
    Permit,
    Relayed,
    RentalQuery,
    SignedExit,
    TransferAuthorization,
    WalletView,
)
from services.settlement import billing, endings, flags, intake, opening, position, progress, rotating, views
from services.settlement.auditing import LARGEST_PAGE, Auditing
from services.settlement.chain_store import IN_FLIGHT
from services.settlement.escrow.node import ChainUnreachable, NodeRefused
from services.settlement.models import TransactionRow
from services.settlement.moves import faucet_key
from services.settlement.store import Store

ADDRESS_BYTES = 20
# A refused open, exit or withdrawal changed nothing: its caller may try again at once.
AT_ONCE = timedelta(0)
LOOK_EVERY_SECONDS = 0.1
# Between two turns that wait by themselves until there is something to do.
SOON_SECONDS = 0.05
# Characters of a bill in one message: ten of a week's, each some tens of milliseconds of the bus.
BILL_PART = 4_000_000
OPEN_STATES = tuple(state.value for state in State if state not in TERMINAL)


Told = TypeVar("Told", UsageAccepted, CeilingAccepted)


class Settlement(Auditing):
    """Turns usage into money, and tells everybody."""

    name = "settlement"

    # -- the marketplace and its wallets

    @rpc
    def platform_terms(self) -> dict[str, Any]:
        """Return what agents must know of this marketplace."""
        with self.database.snapshot() as session:
            paused = opening.pause_of(session)
            # A copy that does not drive the chain learns of a new relayer here.
            self._office.serve_as(rotating.current(session))
        return self._office.platform(paused=None if paused is None else paused.reason).model_dump(mode="json")

    @rpc
    def anchor_place(self) -> dict[str, Any]:
        """Return where daily roots are announced, and in whose name."""
        return self._office.chain.anchor.model_dump(mode="json")

    @rpc
    def get_wallet(self, address: str) -> dict[str, Any]:
        """Return what the chain says of an address."""
        return self._wallet(_address(address))

    @rpc
    def faucet(self, address: str) -> dict[str, Any]:
        """Give test tokens to an address and return its wallet once they are there.

        Raises Refused on a real chain.
        """
        office, owner = self._office, _address(address)
        if not office.is_development:
            raise Refused("no_faucet", "only a development chain has a faucet")
        with self.database.unit_of_work() as session:
            store = self._store(session)
            number = store.count_transactions(faucet_key(owner))
            intent = office.moves.faucet(owner, office.settings.faucet_amount, number=number, now=store.now)
            row = store.queue(intent)
        office.pace.hurry()
        self._await_mined(row)
        return self._wallet(owner)

    @rpc
    def withdraw(self, authorization: dict[str, Any]) -> dict[str, Any]:
        """Relay a holder's transfer of its tokens; the same authorisation again is the same transaction."""
        wish = TransferAuthorization.model_validate(authorization)
        intent = _built(lambda: self._office.moves.withdraw(wish, now=self.clock.now()))
        row = self._relay(intent)
        return Relayed(transaction=views.transaction_view(row)).model_dump(mode="json")

    # -- rentals

    @rpc
    def fund(self, rental_id: str, permit: dict[str, Any] | None) -> dict[str, Any]:
        """Relay the opening of the escrow with the renter's permit, or its allowance.

        Opening what is open changes nothing. Raises Unavailable while no new rentals are taken.
        """
        given = None if permit is None else Permit.model_validate(permit)
        with self.database.looks() as session:
            row = self._store(session).rental_as_it_is(rental_id)
        if row.state == State.EXPIRED.value:
            raise Conflict("rental_expired", f"rental {rental_id} was not funded in time")
        if row.state == State.AGREED.value:
            with self.database.looks() as session:
                opening.require_open(session)
            signed = progress.signed_of(row)
            try:
                self._relay(_built(lambda: self._office.moves.open(signed, given, now=self.clock.now())))
            except Refused as error:
                # Else the log of its opening is not read yet.
                if error.fields.get("error") != ALREADY_OPEN:
                    raise
        return self._rental(rental_id)

    @rpc
    def submit_close(self, rental_id: str, half: dict[str, Any]) -> dict[str, Any]:
        """Keep one side's signature under a close; with the other side's under the same, the chain pays.

        The latest half counts.
        """
        signed_half = CloseHalf.model_validate(half)
        with self.database.unit_of_work() as session:
            store = self._store(session)
            row = store.rental(rental_id)
            billing.take_half(store, row, signed_half, self._office.moves)
        self._office.pace.hurry()
        return self._rental(rental_id)

    @rpc
    def submit_exit(self, rental_id: str, signed_exit: dict[str, Any]) -> dict[str, Any]:
        """Relay one side's irrevocable notice."""
        wish = SignedExit.model_validate(signed_exit)
        with self.database.snapshot() as session:
            signed = progress.signed_of(self._store(session).rental_as_it_is(rental_id))
        endings.check_exit(signed, wish)
        self._relay(self._office.moves.exit(signed, wish.signature, now=self.clock.now()))
        return self._rental(rental_id)

    @rpc
    def get_rental(self, rental_id: str) -> dict[str, Any]:
        """Return a rental. Raises NotFound."""
        return self._rental(rental_id)

    @rpc
    def rental_progress(self, rental_ids: list[str]) -> dict[str, int]:
        """Return how far those of these rentals are that there are; another number is news."""
        with self.database.looks() as session:
            return self._store(session).progress_of(rental_ids)

    @rpc
    def list_rentals(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return a page of rentals, newest first."""
        wanted = RentalQuery.model_validate(query)
        states = [wanted.state.value] if wanted.state else list(OPEN_STATES) if wanted.open_only else None
        with self.database.looks() as session:
            store = self._store(session)
            found = store.page_of_rentals(
                device=None if wanted.device is None else to_hex(wanted.device),
                renter=None if wanted.renter is None else to_hex(wanted.renter),
                states=states,
                unfinished=OPEN_STATES if wanted.unfinished else None,
                after=None if wanted.cursor is None else position.decode(wanted.cursor),
                limit=wanted.limit,
            )
            shown = found[: wanted.limit]
            items = tuple(view.model_dump(mode="json") for view in views.views_of(store, shown))
        last = shown[-1].row if len(found) > len(shown) else None
        more = None if last is None else position.encode(last.created_at, last.rental_id)
        return Page[dict[str, Any]](items=items, next=more).model_dump(mode="json")

    @rpc
    def get_refusals(self, rental_id: str) -> list[dict[str, Any]]:
        """Return what settlement refused of a rental, oldest first; metering has refusals of its own."""
        with self.database.snapshot() as session:
            refusals = views.refusals_of(self._store(session), rental_id)
        return [refusal.model_dump(mode="json") for refusal in refusals]

    @rpc
    def get_flags(self, rental_id: str) -> list[dict[str, Any]]:
        """Return what looks wrong about a rental's readings, ascending, and what of it holds money back."""
        with self.database.snapshot() as session:
            store = self._store(session)
            found = flags.flags_of(
                store, rental_id, self._office.rhythm, chain_time=intake.chain_moment(store)
            )
        return [flag.model_dump(mode="json") for flag in found]

    # -- bills

    @rpc
    def get_bill_part(self, rental_id: str, offset: int, length: int | None) -> dict[str, Any]:
        """Return a part of a bill's JSON from this character on; a week's bill has forty megabytes.

        ``length`` is what the first part said of the whole. Raises NotFound until the rental is settled and
        its bill issued; Conflict where it was countersigned since the first part.
        """
        with self.database.snapshot() as session:
            part = self._store(session).bill_part(rental_id, offset=offset, length=BILL_PART)
        if length not in {None, part.length}:
            raise Conflict("bill_changed", "the bill was countersigned meanwhile: please read it again")
        return part.model_dump(mode="json")

    @rpc
    def list_bills(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return a page of bills, newest first."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise Invalid("limit_out_of_range", f"a page has 1 to {LARGEST_PAGE} items, not {limit}")
        with self.database.snapshot() as session:
            after = None if cursor is None else position.decode(cursor)
            rows = self._store(session).page_of_bills(after=after, limit=limit)
        shown = rows[:limit]
        more = position.encode(shown[-1].issued_at, shown[-1].rental_id) if len(rows) > len(shown) else None
        items = tuple(views.bill_summary(row).model_dump(mode="json") for row in shown)
        return Page[dict[str, Any]](items=items, next=more).model_dump(mode="json")

    @rpc
    def countersign_bill(self, rental_id: str, signature: str) -> dict[str, Any]:
        """Keep the owner's side's signature under a bill; once there it stays.

        Raises Refused for anyone else's.
        """
        with self.database.unit_of_work() as session:
            row = self._store(session).bill(rental_id)
            billing.countersign(row, _bytes(signature))
            return views.bill_summary(row).model_dump(mode="json")

    # -- what others say

    @on_event(Agreed)
    def on_agreed(self, session: Session, event: Agreed) -> None:
        """Begin a rental."""
        intake.take_agreement(self._store(session), event, self._office.chain.deployment)

    # Readings and ceilings change nothing but their rental's row, and rows that are kept for it: its lock is
    # the whole story. As if alone, each would lose against those before and after it, and come again later.

    @on_events(UsageAccepted, work=Database.work_on_locked)
    def on_usage_accepted(self, session: Session, events: Sequence[UsageAccepted]) -> None:
        """Price readings and count them."""
        store = self._store(session)
        for rental_id, told in _by_rental(events):
            with rental_work("count readings", service=self.name, rental_ids=[to_hex(rental_id)]):
                intake.take_readings(store, rental_id, [each for event in told for each in event.readings])

    @on_events(CeilingAccepted, work=Database.work_on_locked)
    def on_ceiling_accepted(self, session: Session, events: Sequence[CeilingAccepted]) -> None:
        """Keep what may be claimed."""
        store = self._store(session)
        for rental_id, told in _by_rental(events):
            for event in told:
                intake.take_ceiling(store, rental_id, event.ceiling)

    @on_event(Flagged)
    def on_flagged(self, session: Session, event: Flagged) -> None:
        """Hold the tail that the renter has not acknowledged."""
        flags.take_flag(self._store(session), event)

    @on_event(FlagCleared)
    def on_flag_cleared(self, session: Session, event: FlagCleared) -> None:
        """Hold it no longer."""
        flags.clear_flag(self._store(session), event)

    @on_event(DayClosed)
    def on_day_closed(self, session: Session, event: DayClosed) -> None:
        """Have the day's root announced on the chain."""
        store = self._store(session)
        store.queue(self._office.moves.announce(event.day, event.root, now=store.now))

    @on_event(DeviceAdmitted)
    def on_device_admitted(self, session: Session, event: DeviceAdmitted) -> None:
        """Have a device registered on the chain."""
        intake.take_device(self._store(session), event, self._office.moves)

    # -- time

    @timer(interval=SOON_SECONDS)
    def drive_chain(self) -> None:
        """Read the chain, queue what is due, and look after the relayer's transactions."""
        office = self._office
        office.wait_for_news()
        if office.holds_lease(self.database, self.clock.now):
            office.drive(self.database, self.clock.now)

    @timer(interval=1.0)
    def count_early_readings(self) -> None:
        """Count the readings whose turn has come since they were kept."""
        intake.take_early_readings(self.database, self.clock.now)

    @timer(interval=1.0)
    def look_up_acknowledged(self) -> None:
        """Have at hand what may be claimed of flagged rentals."""
        office = self._office
        if office.holds_lease(self.database, self.clock.now):
            flags.look_up_acknowledged(
                self.database, self.remote, self.clock.now, call_seconds=office.settings.call_seconds
            )

    @timer(interval=SOON_SECONDS)
    def issue_bills(self) -> None:
        """Bill the rentals that the chain has paid out."""
        office = self._office
        office.pace.wait_for_bills()
        if office.holds_lease(self.database, self.clock.now):
            office.issuing(self.database, self.remote, self.clock.now).issue_due()

    # -- shared by the entrypoints

    def _store(self, session: Session) -> Store:
        return Store(session, now=self.clock.now())

    def _rental(self, rental_id: str) -> dict[str, Any]:
        with self.database.looks() as session:
            return views.view_of(self._store(session), rental_id).model_dump(mode="json")

    def _wallet(self, address: bytes) -> dict[str, Any]:
        try:
            wallet = self._office.chain.wallet(address)
        except (ChainUnreachable, NodeRefused) as error:
            raise Unavailable("chain_unreachable", str(error)) from error
        view = WalletView(address=address, balance=wallet.balance, credit=wallet.credit, nonce=wallet.nonce)
        return view.model_dump(mode="json")

    def _relay(self, intent: TransactionRow) -> TransactionRow:
        """Queue what a caller wants sent, unless it is on its way.

        Raises Refused with the contract's reason before that.
        """
        with self.database.snapshot() as session:
            known = self._store(session).transaction_by_key(intent.key)
        if known is not None and known.status != "refused":
            return known
        self._office.simulate(intent)
        with self.database.unit_of_work() as session:
            row = self._store(session).queue(intent, again_after=AT_ONCE)
        self._office.pace.hurry()
        return row

    def _await_mined(self, row: TransactionRow) -> None:
        """Wait until the transaction is mined, for as long as a caller waits.

        The timer alone drives the chain.

        Raises Refused, Unavailable.
        """
        deadline = time.monotonic() + self._office.settings.relay_seconds
        while True:
            with self.database.snapshot() as session:
                now = self._store(session).transaction(int(row.id or 0))
            if now.status == "refused":
                raise Refused("chain_refuses", str(now.reason))
            if now.status not in IN_FLIGHT or now.block is not None:
                return
            if time.monotonic() > deadline:
                raise Unavailable("not_mined_yet", f"the chain has not mined {now.kind} {now.hash} yet")
            GreenFlag().wait(LOOK_EVERY_SECONDS)


def _by_rental(events: Sequence[Told]) -> list[tuple[bytes, list[Told]]]:
    """Return what is told of each rental, in the one order in which rentals are locked."""
    found: dict[bytes, list[Told]] = {}
    for event in events:
        found.setdefault(event.rental_id, []).append(event)
    return sorted(found.items())


def _built(build: Callable[[], TransactionRow]) -> TransactionRow:
    """Return the intent. Raises Invalid where what it carries does not fit a call."""
    try:
        return build()
    except ValueError as error:
        raise Invalid("bad_call", str(error)) from error


def _address(text: str) -> bytes:
    value = _bytes(text)
    if len(value) != ADDRESS_BYTES:
        raise Invalid("bad_address", f"an address has {ADDRESS_BYTES} bytes, not {len(value)}")
    return value


def _bytes(text: str) -> bytes:
    try:
        return from_hex(text)
    except ValueError as error:
        raise Invalid("bad_hex", str(error)) from error
