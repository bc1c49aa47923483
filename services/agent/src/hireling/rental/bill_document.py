"""The bill of a rental: everything it follows from, so that anyone checks it offline, from the bill alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import SignedClose
from hireling.rental.documents import document_hash
from hireling.rental.errors import Malformed
from hireling.rental.escrow_math import prepaid
from hireling.rental.merkle import root
from hireling.rental.money import BPS, fee_of
from hireling.rental.reading import SignedReading, reading_hash
from hireling.rental.signing import Signer, sign
from hireling.rental.tariff import BillLine, lines
from hireling.rental.typed_data import (
    Bytes32,
    Document,
    HexBytes,
    KeyBytes,
    TypedData,
    Uint16,
    Uint40,
    Uint64,
    Uint96,
    Uint256,
)

NO_READINGS = bytes(32)


class BillTransaction(Document):
    """A transaction that moved this rental's money. Only the chain itself can confirm it."""

    kind: str
    hash: Bytes32
    block: Uint64
    gas_used: Uint64


class Bill(Document):
    """What was used, by whose signatures, what it cost and where the money went. A bill never changes.

    ``counters`` are the last reading's, in the tariff's order. ``total`` is what the escrow took for use,
    gross; ``fee`` is inside it; ``refund`` is the funded rest of the price, and ``deposit_returned`` the
    deposit's part that went back, all in base units. ``close`` is there where both sides agreed on the end.
    ``issued_at`` is in Unix seconds.
    """

    version: Literal[1] = 1
    rental: SignedAgreement
    readings: tuple[SignedReading, ...]
    ceiling: SignedCeiling | None = None
    close: SignedClose | None = None
    counters: tuple[Uint256, ...]
    lines: tuple[BillLine, ...]
    funded_bps: Uint16 = BPS
    total: Uint96
    fee: Uint96
    refund: Uint96
    deposit_returned: Uint96
    rail: Literal["token"] = "token"
    transactions: tuple[BillTransaction, ...]
    readings_root: Bytes32
    issued_at: Uint40

    @property
    def rental_id(self) -> bytes:
        """Return the rental's id."""
        return self.rental.rental_id

    @property
    def spent(self) -> int:
        """Return what the rental cost the renter in the end: use, and what of the deposit did not return."""
        return self.total + self.rental.agreement.rules.deposit - self.deposit_returned


class BillEnvelope(TypedData):
    """What is signed of a bill."""

    signed_as: ClassVar[str | None] = "Bill"

    rental_id: Bytes32
    readings_root: Bytes32
    document: Bytes32


class SignedBill(Document):
    """A bill, signed by its issuer, and by the owner's agent once it agrees."""

    bill: Bill
    issuer: KeyBytes
    signature: HexBytes
    countersignature: HexBytes | None = None


def envelope_of(bill: Bill) -> BillEnvelope:
    """Return what is signed of a bill."""
    return BillEnvelope(
        rental_id=bill.rental_id, readings_root=bill.readings_root, document=document_hash(bill)
    )


def sign_bill(key: Signer, bill: Bill) -> SignedBill:
    """Return the bill signed by its issuer's key."""
    signature = sign(key, bill.rental.domain, envelope_of(bill))
    return SignedBill(bill=bill, issuer=key.identity, signature=signature)


def countersign_bill(key: Signer, signed: SignedBill) -> SignedBill:
    """Return the signed bill with the signature of the owner's agent's key beside the issuer's."""
    countersignature = sign(key, signed.bill.rental.domain, envelope_of(signed.bill))
    return SignedBill.model_validate({**dict(signed), "countersignature": countersignature})


def make_bill(
    *,
    rental: SignedAgreement,
    readings: Sequence[SignedReading],
    total: int,
    deposit_returned: int,
    transactions: Sequence[BillTransaction],
    issued_at: datetime,
    ceiling: SignedCeiling | None = None,
    close: SignedClose | None = None,
    funded_bps: int = BPS,
) -> Bill:
    """Return the bill over all of a rental's readings, in order.

    ``total`` is what the escrow took for use, in base units.

    ``ceiling`` is the last one that was signed. Raises Malformed if more was taken than was funded.
    """
    agreement = rental.agreement
    counters = counters_of(rental, readings)
    refund = prepaid(agreement, funded_bps) - total
    if refund < 0:
        raise Malformed("bad_total", f"{total} was taken, {total + refund} was funded")
    return Bill(
        rental=rental,
        readings=tuple(readings),
        ceiling=ceiling,
        close=close,
        counters=counters,
        lines=lines_of(rental, readings, total=total),
        funded_bps=funded_bps,
        total=total,
        fee=fee_of(total, agreement.pay.fee_bps),
        refund=refund,
        deposit_returned=deposit_returned,
        transactions=tuple(transactions),
        readings_root=root_of(readings),
        issued_at=int(issued_at.timestamp()),
    )


def counters_of(rental: SignedAgreement, readings: Sequence[SignedReading]) -> tuple[int, ...]:
    """Return the last reading's counters, zeros where there is none."""
    if not readings:
        return (0,) * len(rental.offer.tariff.counters)
    return readings[-1].reading.sample.counters


def lines_of(
    rental: SignedAgreement, readings: Sequence[SignedReading], *, total: int
) -> tuple[BillLine, ...]:
    """Return the lines that sum to ``total``: the tariff's, and what neither ceilings nor funds covered."""
    if not readings:
        return ()
    priced = lines(rental.offer.tariff, counters_of(rental, readings))
    uncovered = total - sum(line.amount for line in priced)
    return (*priced, BillLine(kind="uncovered", amount=uncovered)) if uncovered else priced


def root_of(readings: Sequence[SignedReading]) -> bytes:
    """Return the Merkle root over the readings' hashes, zero for none."""
    return root([reading_hash(signed.reading) for signed in readings]) if readings else NO_READINGS
