"""A rental's bill: everything it follows from, signed by the marketplace; its readings are handed in."""

from collections.abc import Sequence
from datetime import datetime

from hireling.rental.bill import BillTransaction, SignedBill, make_bill, sign_bill, verify_bill
from hireling.rental.close import SignedClose
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Signer
from services.messages.settlement import Transaction
from services.settlement.books import Books, deposit_returned
from services.settlement.collecting import both_halves
from services.settlement.models import RentalRow
from services.settlement.progress import ceiling_of, signed_of, slot_of


def issue(
    row: RentalRow,
    readings: Sequence[SignedReading],
    transactions: Sequence[Transaction],
    *,
    key: Signer,
    issued_at: datetime,
) -> SignedBill:
    """Return the signed bill of a rental that the escrow has paid out, over all readings that count.

    It is checked as strangers will check it before it leaves. Raises BillInvalid, Malformed.
    """
    signed = signed_of(row)
    books = Books(
        slot_of(row),
        fee_bps=signed.agreement.pay.fee_bps,
        prepaid=row.prepaid,
        fee=row.fee,
        to_owner=row.to_owner,
        refund=row.refund,
    )
    bill = make_bill(
        rental=signed,
        readings=readings,
        total=row.paid,
        deposit_returned=deposit_returned(books, deposit=signed.agreement.rules.deposit),
        transactions=[found for found in map(_transaction, transactions) if found is not None],
        issued_at=issued_at,
        ceiling=ceiling_of(row),
        close=_agreed_close(row),
        funded_bps=row.funded_bps,
    )
    billed = sign_bill(key, bill)
    verify_bill(billed, issuer=key.identity)
    return billed


def _agreed_close(row: RentalRow) -> SignedClose | None:
    """Return the close by both signatures, where the chain paid by it."""
    both = both_halves(row)
    return both if both is not None and both.close.use == row.paid else None


def _transaction(told: Transaction) -> BillTransaction | None:
    if told.status != "confirmed" or told.hash is None or told.block is None or told.gas_used is None:
        return None
    return BillTransaction(kind=told.kind, hash=told.hash, block=told.block, gas_used=told.gas_used)
