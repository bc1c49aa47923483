"""The end of a rental in rows: both halves of a close, the bill once the chain has paid,
and its countersignature.
"""

from datetime import datetime
from typing import Any

from hireling.rental.bill import SignedBill, envelope_of
from hireling.rental.errors import RentalError
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Signer, signer_of
from hireling.rental.states import TERMINAL, State
from hireling.rental.typed_data import digest, to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.rpc import RpcClient
from services.messages.errors import Conflict, OperatorError, Refused
from services.messages.events.settlement import BillIssued
from services.messages.settlement import CloseHalf
from services.settlement import bills, endings, progress
from services.settlement.collecting import AGAIN_AFTER, both_halves
from services.settlement.models import BillRow, RentalRow
from services.settlement.moves import Moves
from services.settlement.store import Store

PAGE = 500
BILLED_STATES = tuple(state.value for state in TERMINAL)

_log = get_logger(__name__)


def take_half(store: Store, row: RentalRow, half: CloseHalf, moves: Moves) -> None:
    """Keep one side's half, and queue the close where the other side signed the same.
    Raises Refused, Conflict.
    """
    if row.money == "done":
        raise Conflict("already_paid_out", f"the escrow has paid out rental {row.rental_id}")
    signed = progress.signed_of(row)
    endings.check_half(signed, half, state=State(row.state), reading=progress.reading_of(row))
    kept = half.model_dump(mode="json")
    if half.by == "owner":
        row.owner_close = kept
    else:
        row.renter_close = kept
    row.updated_at = store.now
    both = both_halves(row)
    if both is not None:
        store.queue(moves.close(signed, both, now=store.now), again_after=AGAIN_AFTER)


def issue_due(
    database: Database, remote: RpcClient, *, key: Signer, now: datetime, call_seconds: float
) -> None:
    """Issue the bills that are due. One that cannot be made is logged, and the rest are."""
    with database.snapshot() as session:
        due = Store(session, now=now).rentals_to_bill(BILLED_STATES)
    for row in due:
        try:
            _issue(database, row, _readings(remote, row, call_seconds=call_seconds), key=key, now=now)
        except RentalError as error:
            _log.error("bill_not_made", rental_id=row.rental_id, code=error.code, reason=error.detail)


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


def _readings(remote: RpcClient, row: RentalRow, *, call_seconds: float) -> list[SignedReading]:
    """Return all readings that count, from metering, page by page."""
    found: list[SignedReading] = []
    last = -1 if row.seq is None else row.seq
    while len(found) <= last:
        after = len(found) - 1
        page: dict[str, Any] = remote.call(
            "metering", "get_readings", row.rental_id, after, PAGE, timeout=call_seconds
        )
        items = [SignedReading.model_validate(item) for item in page["items"]]
        if not items:
            raise OperatorError(
                "readings_missing", f"metering has {len(found)} readings of {row.rental_id}, {last + 1} count"
            )
        found += items
    return found[: last + 1]


def _issue(
    database: Database, row: RentalRow, readings: list[SignedReading], *, key: Signer, now: datetime
) -> None:
    def keep(store: Store) -> None:
        rental = store.rental(row.rental_id)
        if rental.billed:
            return
        signed = bills.issue(
            rental, readings, store.transactions_of(rental.rental_id), key=key, issued_at=now
        )
        bill = BillRow(
            rental_id=rental.rental_id,
            device=rental.device,
            total=rental.paid,
            signed=signed.model_dump(mode="json"),
            issued_at=now,
        )
        store.add(bill)
        rental.billed, rental.updated_at = True, now
        store.say(
            BillIssued(
                rental_id=bytes.fromhex(rental.rental_id[2:]),
                device=bytes.fromhex(rental.device[2:]),
                total=rental.paid,
            )
        )

    database.work(lambda session: keep(Store(session, now=now)))
    _log.info("bill_issued", rental_id=row.rental_id, readings=len(readings))
