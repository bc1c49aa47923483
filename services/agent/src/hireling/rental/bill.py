"""The bill of a rental, and checking it offline from the bill alone: every signature, every price, every sum.

What only the chain can say stays open: whether the transactions it names happened.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from hireling.rental.bill_document import (
    Bill,
    BillEnvelope,
    BillTransaction,
    SignedBill,
    counters_of,
    countersign_bill,
    envelope_of,
    lines_of,
    make_bill,
    root_of,
    sign_bill,
)
from hireling.rental.ceiling import Ceiling, SignedCeiling
from hireling.rental.close import SignedClose
from hireling.rental.errors import BillInvalid, ReadingRefused, RentalError
from hireling.rental.escrow_math import prepaid
from hireling.rental.money import fee_of
from hireling.rental.reading import ReadingChain, SignedReading, reading_hash
from hireling.rental.signing import signer_of, verify
from hireling.rental.tariff import BillLine, price
from hireling.rental.typed_data import digest, to_hex

__all__ = [
    "Bill", "BillCheck", "BillEnvelope", "BillLine", "BillTransaction", "SignedBill",
    "countersign_bill", "envelope_of", "make_bill", "sign_bill", "verify_bill",
]  # fmt: skip


@dataclass(frozen=True)
class BillCheck:
    """What was checked of a bill, as sentences, all of them passed."""

    rental_id: bytes
    readings: int
    total: int
    checks: tuple[str, ...]


def verify_bill(signed: SignedBill, *, issuer: bytes | None = None) -> BillCheck:
    """Return what was checked. Raises BillInvalid naming the first place that does not hold.

    Readings are checked one by one before anything that depends on them all, so that an altered digit is
    found in its reading. With ``issuer``, the bill must be that issuer's.
    """
    bill = signed.bill
    checks = []
    for sentence, check in _checks_of(bill):
        check()
        checks.append(sentence)
    _check_issuer(signed, issuer)
    checks.append(f"bill signed by its issuer {to_hex(signed.issuer)}")
    if signed.countersignature is not None:
        _check_countersignature(signed, signed.countersignature)
        checks.append("bill countersigned by the owner's side")
    return BillCheck(
        rental_id=bill.rental_id, readings=len(bill.readings), total=bill.total, checks=tuple(checks)
    )


def _checks_of(bill: Bill) -> Iterator[tuple[str, Callable[[], None]]]:
    signed_by_both = f"agreement signed by both sides: rental {to_hex(bill.rental_id)}"
    yield signed_by_both, partial(_check_agreement, bill)
    metered = f"{len(bill.readings)} readings signed by the meter, chained and priced"
    yield metered, partial(_check_readings, bill)
    yield "readings match their Merkle root", partial(_check_root, bill)
    if bill.ceiling is not None:
        acknowledged = "ceiling signed by the renter's agent, acknowledging a reading of this bill"
        yield acknowledged, partial(_check_ceiling, bill, bill.ceiling)
    if bill.close is not None:
        yield "close signed by both sides", partial(_check_close, bill, bill.close)
    yield f"lines sum to the total, {bill.total}", partial(_check_lines, bill)
    allowed = f"total within what both keys allow, fee {bill.fee}, refund {bill.refund}"
    yield allowed, partial(_check_amounts, bill)


def _check_agreement(bill: Bill) -> None:
    try:
        bill.rental.check_signed()
    except RentalError as error:
        raise BillInvalid(error.code, f"agreement: {error}") from error


def _check_readings(bill: Bill) -> None:
    chain = ReadingChain(
        rental_id=bill.rental_id, meter=bill.rental.agreement.pay.meter, domain=bill.rental.domain
    )
    for number, signed in enumerate(bill.readings):
        chain = _continued(chain, number, signed)
        _check_price(bill, number)


def _continued(chain: ReadingChain, number: int, signed: SignedReading) -> ReadingChain:
    try:
        longer = chain.accept(signed)
    except ReadingRefused as error:
        reason = "signature does not match" if error.code == "wrong_key" else str(error)
        raise BillInvalid(error.code, f"reading {number}: {reason}") from error
    if longer.next_seq != number + 1:
        raise BillInvalid("gap", f"reading {number}: has number {signed.reading.seq}")
    return longer


def _check_price(bill: Bill, number: int) -> None:
    reading = bill.readings[number].reading
    try:
        due = price(bill.rental.offer.tariff, reading.sample.counters)
    except RentalError as error:
        raise BillInvalid(error.code, f"reading {number}: {error}") from error
    if reading.amount_due not in (due, min(due, bill.rental.agreement.pay.max_total)):
        raise BillInvalid(
            "wrong_price", f"reading {number}: asks {reading.amount_due}, the tariff makes {due}"
        )


def _check_root(bill: Bill) -> None:
    expected = root_of(bill.readings)
    if bill.readings_root != expected:
        raise BillInvalid(
            "wrong_root", f"readings_root: {to_hex(bill.readings_root)}, the readings make {to_hex(expected)}"
        )


def _check_ceiling(bill: Bill, signed: SignedCeiling) -> None:
    try:
        signed.check(bill.rental.domain, bill.rental.agreement)
    except RentalError as error:
        raise BillInvalid(error.code, f"ceiling: {error}") from error
    _check_acknowledgement(bill, signed.ceiling)


def _check_acknowledgement(bill: Bill, ceiling: Ceiling) -> None:
    if not any(ceiling.ack_reading):
        if ceiling.ack_amount:
            raise BillInvalid(
                "wrong_acknowledgement", f"ceiling: acknowledges {ceiling.ack_amount} of no reading"
            )
        return
    hashes = [reading_hash(signed.reading) for signed in bill.readings]
    if ceiling.ack_reading not in hashes:
        raise BillInvalid("wrong_acknowledgement", "ceiling: acknowledges a reading that is not in the bill")
    due = bill.readings[hashes.index(ceiling.ack_reading)].reading.amount_due
    if ceiling.ack_amount > due:
        raise BillInvalid(
            "wrong_acknowledgement", f"ceiling: acknowledges {ceiling.ack_amount}, its reading asks {due}"
        )


def _check_close(bill: Bill, signed: SignedClose) -> None:
    try:
        signed.check(bill.rental.domain, bill.rental.agreement)
    except RentalError as error:
        raise BillInvalid(error.code, f"close: {error}") from error
    close, deposit = signed.close, bill.rental.agreement.rules.deposit
    if bill.total != close.use:
        raise BillInvalid("wrong_total", f"total: {bill.total}, both sides closed at {close.use}")
    if bill.deposit_returned != deposit - close.damage:
        raise BillInvalid(
            "wrong_deposit",
            f"deposit_returned: {bill.deposit_returned} of {deposit}, damage was {close.damage}",
        )


def _check_lines(bill: Bill) -> None:
    expected = counters_of(bill.rental, bill.readings)
    if bill.counters != expected:
        raise BillInvalid(
            "wrong_counters", f"counters: {list(bill.counters)}, the last reading says {list(expected)}"
        )
    lines = lines_of(bill.rental, bill.readings, total=bill.total)
    for number, (stated, made) in enumerate(zip(bill.lines, lines, strict=False)):
        if stated != made:
            raise BillInvalid("wrong_line", f"line {number}: {stated.amount}, the tariff makes {made.amount}")
    if len(bill.lines) != len(lines):
        raise BillInvalid("wrong_line", f"lines: {len(bill.lines)}, the tariff makes {len(lines)}")


def _check_amounts(bill: Bill) -> None:
    agreement = bill.rental.agreement
    funded = prepaid(agreement, bill.funded_bps)
    bounds = {
        "the last reading's amount": bill.readings[-1].reading.amount_due if bill.readings else 0,
        "what was funded": funded,
    }
    if bill.close is None:
        bounds["the ceiling"] = _covered(bill)
    for name, bound in bounds.items():
        if bill.total > bound:
            raise BillInvalid("wrong_total", f"total: {bill.total} is above {name}, {bound}")
    for name, stated, made in (
        ("fee", bill.fee, fee_of(bill.total, agreement.pay.fee_bps)),
        ("refund", bill.refund, funded - bill.total),
    ):
        if stated != made:
            raise BillInvalid(f"wrong_{name}", f"{name}: {stated}, the total makes {made}")
    if bill.deposit_returned > agreement.rules.deposit:
        raise BillInvalid(
            "wrong_deposit", f"deposit_returned: {bill.deposit_returned} of {agreement.rules.deposit}"
        )


def _covered(bill: Bill) -> int:
    if bill.ceiling is None:
        return 0
    ceiling = bill.ceiling.ceiling
    return min(ceiling.max_claimable, ceiling.ack_amount + bill.rental.agreement.pay.block_max)


def _check_issuer(signed: SignedBill, issuer: bytes | None) -> None:
    if issuer is not None and signed.issuer != issuer:
        raise BillInvalid("wrong_issuer", f"issuer: {to_hex(signed.issuer)}, not {to_hex(issuer)}")
    try:
        verify(signed.issuer, digest(signed.bill.rental.domain, envelope_of(signed.bill)), signed.signature)
    except RentalError as error:
        raise BillInvalid(error.code, "issuer: signature does not match") from error


def _check_countersignature(signed: SignedBill, countersignature: bytes) -> None:
    rental = signed.bill.rental
    try:
        signer = signer_of(digest(rental.domain, envelope_of(signed.bill)), countersignature)
    except RentalError as error:
        raise BillInvalid(error.code, f"countersignature: {error}") from error
    if signer not in (rental.agreement.pay.owner, rental.agreement.rules.owner_agent):
        raise BillInvalid("wrong_signer", "countersignature: signature does not match the owner or its agent")
