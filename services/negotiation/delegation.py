"""The entrypoints of delegates: a key, an appointment, and the moves that they make for machines' owners.

Nothing tells a delegate that it is its turn: it looks, several times a second, for sessions in which it is,
so that a move is neither missed nor made twice, whichever way the renter's came and whatever was killed.
A move, its event and the record of why are one transaction.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import Session

from hireling.bargaining.owners import LeaveIt, MakeOffer, OwnersMove, SignLast
from hireling.rental.appointment import DelegateOrder, SignedAppointment, SignedInquiry
from hireling.rental.offer import sign_offer
from hireling.rental.signing import Secp256k1Key
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import DATABASE_DOWN, as_if_alone
from services.chassis.entrypoints import rpc, timer
from services.chassis.logging import get_logger
from services.chassis.providers import Lasting
from services.messages.delegates import DelegateKey, DelegateMove, DelegateStory
from services.messages.errors import CallerError, NotFound, Refused
from services.messages.listing import DeviceView
from services.negotiation import delegate_store, delegating, mandates, store
from services.negotiation.auctioneer import SETTINGS, Auctioneer
from services.negotiation.facts import Facts
from services.negotiation.keyring import Keyring
from services.negotiation.models import AppointmentRow, DelegateDecisionRow
from services.negotiation.remembered import Remembered
from services.negotiation.session import QuoteSession
from services.negotiation.sitting import Sitting

# A renter's agent looks about as often whether it was answered.
LOOKS_EVERY_SECONDS = 0.25
AT_ONCE = 50

_log = get_logger(__name__)


class Delegation(Auctioneer):
    """Bargains for machines whose owners appointed the platform's delegate."""

    remembered: Remembered = Lasting(Remembered)
    keyring: Keyring = Lasting(Keyring)

    @rpc
    def make_delegate_key(self, device: str) -> dict[str, Any]:
        """Return the key that waits for an appointment for this device, made now where there is none.

        Raises NotFound for a device that was never registered.
        """
        self._owner_of(device)
        with self.database.snapshot() as session:
            known = delegate_store.unused_key(session, device)
        delegate = known.delegate if known is not None else self._new_key(device)
        view = DelegateKey(device=from_hex(device), delegate=from_hex(delegate))
        return view.model_dump(mode="json")

    @rpc
    def appoint_delegate(self, order: dict[str, Any]) -> dict[str, Any]:
        """Let an owner's appointment stand for its machine, instead of the one before; it may come twice.

        Refused unless the machine's owner signed it, for a key made here, bounds and mandate that go with it.
        """
        given, now = DelegateOrder.model_validate(order, strict=False), self.clock.now()
        said = given.signed.appointment
        delegating.check_order(given, domain=Facts(self._call).terms.domain, now=now)
        device, delegate = to_hex(said.device), to_hex(said.delegate)
        if self._owner_of(device) != given.signed.owner:
            raise Refused("not_the_owner", f"{device} belongs to somebody else than who signed this")
        with self.database.unit_of_work() as session:
            mandates.Ledger(session).require_unrevoked(given.mandate)
            key = delegate_store.key_row(session, delegate)
            if key is None or key.device != device:
                raise Refused(
                    "unknown_delegate",
                    f"{delegate} is no key made here for {device}, or it was erased",
                )
            standing = delegate_store.appointment_of(session, device)
            if standing is None or standing.order != order:
                delegate_store.appoint(session, given, now=now)
        return given.signed.model_dump(mode="json")

    @rpc
    def get_appointment(self, device: str) -> dict[str, Any]:
        """Return the appointment that stands for a machine, without its bounds. Raises NotFound."""
        now = int(self.clock.now().timestamp())
        with self.database.snapshot() as session:
            row = delegate_store.appointment_of(session, device)
        if row is None or row.valid_until < now:
            raise NotFound("no_delegate", f"no delegate is appointed for {device}", device=device)
        return _order(row).signed.model_dump(mode="json")

    @rpc
    def get_delegate_moves(self, quote_id: str, inquiry: dict[str, Any]) -> dict[str, Any]:
        """Return what a delegate did in a session, and why, to its owner alone.

        Raises NotFound where no delegate did anything, Forbidden for everybody else.
        """
        signed, now = SignedInquiry.model_validate(inquiry, strict=False), self.clock.now()
        with self.database.snapshot() as session:
            quote = store.load_all(session, [quote_id], self.remembered).get(quote_id)
            rows = delegate_store.decisions_of(session, quote_id)
        if quote is None or not rows:
            raise NotFound("no_decisions", f"no delegate decided anything in {quote_id}", quote_id=quote_id)
        delegating.check_inquiry(signed, quote, now=now)
        moves = tuple(DelegateMove.model_validate(row, from_attributes=True) for row in rows)
        return DelegateStory(quote_id=quote_id, moves=moves, story=_story(rows)).model_dump(mode="json")

    @timer(interval=LOOKS_EVERY_SECONDS)
    def move_for_owners(self) -> None:
        """Make the delegates' moves where it is their owners' turn."""
        now = self.clock.now()
        for quote_id, row in self._turns(now).items():
            try:
                self._move(quote_id, row, now=now)
            except DATABASE_DOWN:
                raise
            except Exception as error:  # noqa: BLE001 - what is wrong with one session holds up no other
                _log.error("delegate_failed", quote_id=quote_id, exc_info=error)

    def _move(self, quote_id: str, row: AppointmentRow, *, now: datetime) -> None:
        key = self._key_of(row)
        if key is None:
            return
        done = self.database.work(partial(self._turn, quote_id=quote_id, key=key, now=now))
        if done is not None:
            quote, move = done
            self.remembered.note([quote])
            _log.info("delegate_moved", quote_id=quote_id, move=type(move).__name__)

    def _new_key(self, device: str) -> str:
        delegate, sealed = self.keyring.make()
        with self.database.unit_of_work() as session:
            known = delegate_store.unused_key(session, device)
            if known is not None:
                return known.delegate
            delegate_store.add_key(
                session, device=device, delegate=delegate, sealed=sealed, now=self.clock.now()
            )
        return delegate

    def _turns(self, now: datetime) -> Mapping[str, AppointmentRow]:
        """Return the sessions in which a delegate has to act, and may."""
        with self.database.looks() as session:
            found = delegate_store.waiting(session, now, limit=AT_ONCE)
        if not found:
            return {}
        with self.database.snapshot() as session:
            quotes = store.load_all(session, list(found), self.remembered)
            ledger = mandates.Ledger(session)
            return {
                name: row
                for name, row in found.items()
                if delegating.speaks_for(_order(row), quotes[name]) and _is_free_to_act(ledger, row)
            }

    def _key_of(self, row: AppointmentRow) -> Secp256k1Key | None:
        """Return a delegate's key, None where it was erased just now."""
        with self.database.snapshot() as session:
            kept = delegate_store.key_row(session, row.delegate)
            self.keyring.keep_only(delegate_store.standing(session))
        return None if kept is None else self.keyring.key(row.delegate, kept.sealed)

    def _turn(
        self, session: Session, *, quote_id: str, key: Secp256k1Key, now: datetime
    ) -> tuple[QuoteSession, OwnersMove] | None:
        """Make a delegate's move, unless another copy did, or it may no more. One transaction."""
        hold = timedelta(seconds=SETTINGS.hold_seconds)
        sitting = Sitting(session, [quote_id], remembered=self.remembered, hold=hold, now=now)
        quote = sitting.quote(quote_id)
        row = delegate_store.appointment_of(session, quote.device)
        number = len(quote.offers)
        if row is None or row.delegate != to_hex(key.identity) or quote.turn != "owner":
            return None
        if delegate_store.is_decided(session, quote_id, number):
            return None
        if not _is_free_to_act(mandates.Ledger(session), row):
            return None
        order = _order(row)
        move = delegating.decide(
            order,
            quote,
            is_promised=lambda slot: sitting.is_promised(quote, slot),
            won_until=delegate_store.won_until(session, quote_id) if quote.won else None,
            now=now,
            salt=secrets.token_bytes(32),
        )
        move = _made(sitting, quote, move, key=key, appointment=order.signed)
        sitting.write()
        kept = delegating.record_of(quote, move, now=now)
        with as_if_alone():
            delegate_store.add_decision(
                session,
                DelegateDecisionRow(
                    quote_id=quote_id, round=number, owner=row.owner, made_at=now, **vars(kept)
                ),
            )
        return sitting.quote(quote_id), move

    def _owner_of(self, device: str) -> bytes:
        view = DeviceView.model_validate(self._call("listing", "get_device", device), strict=False)
        return view.owner


def _made(
    sitting: Sitting,
    quote: QuoteSession,
    move: OwnersMove,
    *,
    key: Secp256k1Key,
    appointment: SignedAppointment,
) -> OwnersMove:
    """Make a move; where it is refused, return that it is left, and why: nothing of it was done."""
    try:
        if isinstance(move, MakeOffer):
            sitting.speak_for_owner(sitting.offer(sign_offer(key, move.offer)), appointment)
        elif isinstance(move, SignLast):
            sitting.sign(delegating.owners_signature(key, quote, move))
    except CallerError as error:
        return LeaveIt(code=error.code, reason=error.detail, thought=move.thought)
    return move


def _is_free_to_act(ledger: mandates.Ledger, row: AppointmentRow) -> bool:
    """Return whether its owner did not stop it: a stop may be lifted, so nothing is decided meanwhile."""
    try:
        ledger.require_unrevoked(_order(row).mandate)
    except Refused:
        return False
    return True


def _order(row: AppointmentRow) -> DelegateOrder:
    return DelegateOrder.model_validate(row.order, strict=False)


def _story(rows: Any) -> dict[str, Any] | None:
    """Return the record as an agent keeps its own; None where the strategy had nothing to decide."""
    decided = [row for row in rows if row.decided is not None]
    if not decided:
        return None
    signed = next((row.signed for row in rows if row.signed is not None), None)
    return {
        "wanted": decided[0].wanted,
        "decisions": [row.decided for row in decided],
        "signed": signed,
    }
