"""Rows as others see them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hireling.rental.typed_data import from_hex
from services.messages.metering import Refusal
from services.messages.negotiation import Side
from services.messages.settlement import BillSummary, RentalView, Transaction
from services.settlement.models import BatchedClaimRow, BillRow, RefusalRow, TransactionRow
from services.settlement.progress import ceiling_of, funded_of, reading_of, signed_of
from services.settlement.seen_store import SeenRental
from services.settlement.store import Store


def view_of(store: Store, rental_id: str) -> RentalView:
    """Return a rental as both sides see it. Raises NotFound."""
    return views_of(store, [store.seen_rental(rental_id)])[0]


def views_of(store: Store, rentals: Sequence[SeenRental]) -> list[RentalView]:
    """Return rentals as both sides see them."""
    transactions = store.transactions_of([rental.row.rental_id for rental in rentals])
    return [rental_view(rental, transactions[rental.row.rental_id]) for rental in rentals]


def rental_view(rental: SeenRental, transactions: Sequence[Transaction]) -> RentalView:
    """Return a rental as both sides see it.

    ``funded`` is all that came in: the prepaid price and the deposit.
    """
    row = rental.row
    signed, reading, ceiling = signed_of(row), reading_of(row), ceiling_of(row)
    agreement = signed.agreement
    sides: tuple[tuple[Side, object], ...] = (("owner", row.owner_close), ("renter", row.renter_close))
    return RentalView.model_validate(
        {
            "rental_id": row.rental_id,
            "quote_id": row.quote_id,
            "state": row.state,
            "version": row.version,
            "progress": rental.progress,
            "device": row.device,
            "owner": agreement.pay.owner,
            "renter": row.renter,
            "agreement": agreement,
            "seq": row.seq,
            "counters": reading.reading.sample.counters
            if reading
            else (0,) * len(signed.offer.tariff.counters),
            "amount_due": row.amount_due,
            "acknowledged": ceiling.ceiling.ack_amount if ceiling else 0,
            "ceiling": ceiling.ceiling.max_claimable if ceiling else 0,
            "funded": funded_of(row) if row.money != "none" else 0,
            "claimed": row.paid,
            "fee": row.fee,
            "refund": row.refund,
            "deadline": None if row.due_at is None else datetime.fromtimestamp(row.due_at, UTC),
            "transactions": tuple(transactions),
            "closes_by": tuple(side for side, half in sides if half is not None),
            "refusals": rental.refusals,
            "bill": row.billed,
            "countersigned": rental.countersigned,
            "updated_at": row.updated_at,
        }
    )


def transaction_view(row: TransactionRow) -> Transaction:
    """Return a transaction as others see it."""
    return Transaction.model_validate(row.model_dump(include=set(Transaction.model_fields)))


def refusals_of(store: Store, rental_id: str) -> list[Refusal]:
    """Return what settlement, or the escrow of a batch, refused of a rental, oldest first."""
    found = [refusal_view(row) for row in store.refusals(rental_id)]
    found += [skipped_view(row) for row in store.skipped_claims(rental_id)]
    return sorted(found, key=lambda refusal: refusal.at)


def skipped_view(row: BatchedClaimRow) -> Refusal:
    """Return a claim that the escrow skipped in a batch, by the escrow's own reason."""
    reason = str(row.outcome)
    return Refusal.model_validate(
        {
            "source": "settlement",
            "rental_id": row.rental_id,
            "seq": row.seq,
            "code": f"claim_{reason.lower()}",
            "detail": f"the escrow skipped the claim with number {row.seq} in block {row.block}: {reason}",
            "at": row.told_at,
        }
    )


def refusal_view(row: RefusalRow) -> Refusal:
    """Return what settlement refused, beside metering's."""
    return Refusal(
        source="settlement",
        rental_id=from_hex(row.rental_id),
        seq=row.seq,
        code=row.code,
        detail=row.detail,
        at=row.at,
    )


def bill_summary(row: BillRow) -> BillSummary:
    """Return a line of the list of bills."""
    return BillSummary.model_validate(row.model_dump(include=set(BillSummary.model_fields)))
