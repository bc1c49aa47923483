"""The end of a rental in rows.

Both halves of a close, the bill once the chain has paid, and its countersignature.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hireling.rental.bill import SignedBill, envelope_of
from hireling.rental.errors import RentalError
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Signer, signer_of
from hireling.rental.states import TERMINAL, State
from hireling.rental.typed_data import digest, from_hex, to_hex
from services.chassis.concurrency import beside
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.rpc import RpcClient
from services.chassis.tracing import rental_work
from services.messages.errors import Conflict, HirelingError, OperatorError, Refused
from services.messages.events.settlement import BillIssued
from services.messages.settlement import CloseHalf
from services.settlement import bills, endings, progress
from services.settlement.collecting import AGAIN_AFTER, both_halves
from services.settlement.models import BillRow, RentalRow
from services.settlement.moves import Moves
from services.settlement.store import Store

PAGE = 500
BILL_AGAIN_AFTER = timedelta(seconds=60)
BILLED_STATES = tuple(state.value for state in TERMINAL)

_log = get_logger(__name__)


def take_half(store: Store, row: RentalRow, half: CloseHalf, moves: Moves) -> None:
    """Keep one side's half, and queue the close where the other side signed the same.

    Raises Refused, Conflict.
    """
    kept = half.model_dump(mode="json")
    if row.money == "done":
        if kept == (row.owner_close if half.by == "owner" else row.renter_close):
            return  # it came in time, and its answer was lost
        raise Conflict("already_paid_out", f"the escrow has paid out rental {row.rental_id}")
    signed = progress.signed_of(row)
    endings.check_half(signed, half, state=State(row.state), reading=progress.reading_of(row))
    if half.by == "owner":
        row.owner_close = kept
    else:
        row.renter_close = kept
    row.updated_at = store.now
    both = both_halves(row)
    if both is not None:
        store.queue(moves.close(signed, both, now=store.now), again_after=AGAIN_AFTER)


class Issuing:
    """Issues the bills that are due.

    One that cannot be made is logged, and tried again only after a while.
    """

    def __init__(
        self,
        *,
        database: Database,
        remote: RpcClient,
        key: Signer,
        now: Callable[[], datetime],
        call_seconds: float,
    ) -> None:
        self._database = database
        self._remote = remote
        self._key = key
        self._now = now
        self._call_seconds = call_seconds
        self._not_before: dict[str, datetime] = {}

    def issue_due(self) -> None:
        """Issue every bill that is due now."""
        now = self._now()
        with self._database.looks() as session:
            due = Store(session, now=now).rentals_to_bill(BILLED_STATES)
        for row in due:
            if now < self._not_before.get(row.rental_id, now):
                continue
            try:
                with rental_work("issue bill", service="settlement", rental_ids=[row.rental_id]):
                    self._issue(row, self._readings(row))
            except (RentalError, HirelingError) as error:
                self._not_before[row.rental_id] = now + BILL_AGAIN_AFTER
                _log.error("bill_not_made", rental_id=row.rental_id, code=error.code, reason=error.detail)

    def _readings(self, row: RentalRow) -> list[SignedReading]:
        """Return all readings that count, from metering, page by page."""
        found: list[SignedReading] = []
        last = -1 if row.seq is None else row.seq
        while len(found) <= last:
            page: dict[str, Any] = self._remote.call(
                "metering", "get_readings", row.rental_id, len(found) - 1, PAGE, timeout=self._call_seconds
            )
            if not page["items"]:
                detail = f"metering has {len(found)} readings of {row.rental_id}, {last + 1} count"
                raise OperatorError("readings_missing", detail)
            found += [SignedReading.model_validate(item) for item in page["items"]]
        return found[: last + 1]

    def _issue(self, row: RentalRow, readings: list[SignedReading]) -> None:
        now, key = self._now(), self._key
        with self._database.snapshot() as session:
            transactions = Store(session, now=now).transactions_of([row.rental_id])[row.rental_id]
        # Thousands of signatures are checked for it: beside the rest, and outside of any transaction.
        signed = beside(lambda: bills.issue(row, readings, transactions, key=key, issued_at=now))
        self._database.work(lambda session: _keep_bill(Store(session, now=now), row.rental_id, signed))
        _log.info("bill_issued", rental_id=row.rental_id, readings=len(readings))


def countersign(row: BillRow, signature: bytes) -> None:
    """Put the owner's side's signature on its bill. Raises Refused for anyone else's."""
    signed = SignedBill.model_validate(row.signed)
    if signed.countersignature is not None:
        return
    rental = signed.bill.rental
    try:
        signer = signer_of(digest(rental.domain, envelope_of(signed.bill)), signature)
    except RentalError as error:
        raise Refused(error.code, error.detail) from error
    if signer not in (rental.agreement.pay.owner, rental.agreement.rules.owner_agent):
        raise Refused("wrong_signer", f"signed by {to_hex(signer)}, who is neither the owner nor its agent")
    row.signed, row.countersigned = {**row.signed, "countersignature": to_hex(signature)}, True


def _keep_bill(store: Store, rental_id: str, signed: SignedBill) -> None:
    rental = store.rental(rental_id)
    # A rental that is paid out and whose transactions are final changes only where the chain goes back.
    if rental.billed or rental.money != "done" or rental.paid != signed.bill.total:
        return
    bill = BillRow(
        rental_id=rental.rental_id,
        device=rental.device,
        total=rental.paid,
        signed=signed.model_dump(mode="json"),
        issued_at=store.now,
    )
    store.add(bill)
    rental.billed, rental.updated_at = True, store.now
    issued = BillIssued(
        rental_id=from_hex(rental.rental_id),
        device=from_hex(rental.device),
        total=rental.paid,
    )
    store.say(issued)
