"""A whole signed bill, and what a checker has to say of altered ones."""

import copy
from collections.abc import Iterator
from typing import Any

from hireling.rental.bill import (
    BillTransaction,
    SignedBill,
    countersign_bill,
    make_bill,
    sign_bill,
    verify_bill,
)
from hireling.rental.ceiling import next_ceiling, sign_ceiling
from hireling.rental.close import Close, SignedClose
from hireling.rental.errors import BillInvalid
from hireling.rental.signing import keccak256, sign
from tests.builders import (
    NOW,
    OWNER_AGENT_KEY,
    PLATFORM_KEY,
    RENTER_AGENT_KEY,
    a_reading_chain,
    signed_agreement,
)

# Where a bill is altered, and to what.
ALTERATIONS: tuple[tuple[str, Any], ...] = (
    ("bill/readings/7/reading/sample/counters/0", "10500001"),
    ("bill/readings/7/reading/amount_due", "1"),
    ("bill/readings/3/signature", "0x" + "00" * 65),
    ("bill/readings/5/domain/chain_id", "1"),
    ("bill/rental/agreement/pay/max_total", "1"),
    ("bill/ceiling/ceiling/ack_amount", "1"),
    ("bill/readings_root", "0x" + "11" * 32),
    ("bill/counters/0", "1"),
    ("bill/lines/0/amount", "6"),
    ("bill/total", "1"),
    ("bill/fee", "0"),
    ("bill/refund", "0"),
    ("bill/issued_at", "1"),
    ("countersignature", "0x" + "00" * 65),
)


def a_signed_bill(*, n: int = 12) -> SignedBill:
    """Return a bill of n readings that both sides closed, countersigned."""
    signed = signed_agreement()
    readings = a_reading_chain(n, signed=signed)
    last = readings[-1].reading
    close = Close(
        rental_id=signed.rental_id, use=last.amount_due, damage=0, valid_until=int(NOW.timestamp()) + 3_600
    )
    bill = make_bill(
        rental=signed,
        readings=readings,
        total=last.amount_due,
        deposit_returned=signed.agreement.rules.deposit,
        transactions=(
            BillTransaction(kind="open", hash=keccak256(b"open"), block=7, gas_used=98_000),
            BillTransaction(kind="close", hash=keccak256(b"close"), block=42, gas_used=77_000),
        ),
        issued_at=NOW,
        ceiling=sign_ceiling(RENTER_AGENT_KEY, signed.domain, next_ceiling(signed.agreement, last)),
        close=SignedClose(
            close=close,
            owner_signature=sign(OWNER_AGENT_KEY, signed.domain, close),
            renter_signature=sign(RENTER_AGENT_KEY, signed.domain, close),
        ),
    )
    return countersign_bill(OWNER_AGENT_KEY, sign_bill(PLATFORM_KEY, bill))


def altered(document: Any, path: str, value: Any) -> Any:
    """Return a copy of a JSON document with the value at ``path`` (names and positions, by "/") replaced."""
    copied = copy.deepcopy(document)
    *parents, name = path.split("/")
    place = copied
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    place[int(name) if isinstance(place, list) else name] = value
    return copied


def vectors() -> dict[str, Any]:
    """Return the bill, the checks it passes, and alterations with the reason each is refused for."""
    signed = a_signed_bill()
    document = signed.model_dump(mode="json")
    return {
        "bill": document,
        "checks": list(verify_bill(signed).checks),
        "alterations": list(_refused(document)),
    }


def _refused(document: Any) -> Iterator[dict[str, Any]]:
    for path, value in ALTERATIONS:
        try:
            verify_bill(SignedBill.model_validate(altered(document, path, value)))
        except BillInvalid as error:
            yield {"path": path, "value": value, "code": error.code, "error": str(error)}
        else:
            raise AssertionError(f"altered {path} passes")
