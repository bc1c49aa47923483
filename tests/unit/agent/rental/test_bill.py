"""Bills: everything recomputed from the bill alone."""

from typing import Any

import pytest

from hireling.rental.bill import (
    Bill,
    SignedBill,
    countersign_bill,
    make_bill,
    sign_bill,
    verify_bill,
)
from hireling.rental.ceiling import first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.errors import BillInvalid, Malformed
from hireling.rental.money import fee_of
from tests.builders import (
    METER_KEY,
    NOW,
    OWNER_KEY,
    PLATFORM_KEY,
    RENTER_AGENT_KEY,
    a_reading_chain,
    signed_agreement,
)
from tests.vectors.bills import a_signed_bill

RENTAL = signed_agreement()
READINGS = a_reading_chain(5, signed=RENTAL)


def a_bill(**changes: Any) -> Bill:
    """Return the bill of a renter who vanished: a ceiling that acknowledges reading 3, and no close."""
    ceiling = next_ceiling(RENTAL.agreement, READINGS[3].reading)
    arguments: dict[str, Any] = {
        "rental": RENTAL,
        "readings": READINGS,
        "total": READINGS[4].reading.amount_due,
        "deposit_returned": 10_000,
        "transactions": (),
        "issued_at": NOW,
        "ceiling": sign_ceiling(RENTER_AGENT_KEY, RENTAL.domain, ceiling),
    }
    return make_bill(**arguments | changes)


def refusal_of(signed: SignedBill, **arguments: Any) -> str:
    with pytest.raises(BillInvalid) as refusal:
        verify_bill(signed, **arguments)
    return str(refusal.value)


def tampered(bill: Bill, **changes: Any) -> SignedBill:
    """Return the bill with changed fields, signed by its issuer all the same."""
    return sign_bill(PLATFORM_KEY, bill.model_copy(update=changes))


class TestMakeBill:
    def test_adds_up(self) -> None:
        bill = a_bill()
        assert bill.total == sum(line.amount for line in bill.lines) == READINGS[4].reading.amount_due
        assert bill.fee == fee_of(bill.total, 250)
        assert bill.refund == RENTAL.agreement.pay.max_total - bill.total
        assert bill.counters == READINGS[4].reading.sample.counters

    def test_says_what_was_not_covered(self) -> None:
        bill = a_bill(total=100)
        assert (bill.lines[-1].kind, bill.lines[-1].amount) == (
            "uncovered",
            100 - READINGS[4].reading.amount_due,
        )
        verify_bill(sign_bill(PLATFORM_KEY, bill))

    def test_of_a_rental_that_never_began_is_empty(self) -> None:
        bill = a_bill(readings=(), total=0, ceiling=None)
        assert (bill.counters, bill.lines, bill.readings_root) == ((0, 0), (), bytes(32))
        assert bill.refund == RENTAL.agreement.pay.max_total
        verify_bill(sign_bill(PLATFORM_KEY, bill))

    def test_refuses_more_than_was_funded(self) -> None:
        with pytest.raises(Malformed, match="was taken"):
            a_bill(funded_bps=1)


class TestVerifyBill:
    def test_passes_with_and_without_a_close(self) -> None:
        assert verify_bill(a_signed_bill()).readings == 12
        assert verify_bill(sign_bill(PLATFORM_KEY, a_bill())).total == READINGS[4].reading.amount_due

    def test_passes_after_json(self) -> None:
        signed = a_signed_bill()
        again = SignedBill.model_validate_json(signed.model_dump_json())
        assert verify_bill(again) == verify_bill(signed)

    def test_says_only_what_it_checked(self) -> None:
        checks = verify_bill(sign_bill(PLATFORM_KEY, a_bill())).checks
        assert not any("close" in check or "countersigned" in check for check in checks)

    def test_knows_the_issuer_it_was_told(self) -> None:
        verify_bill(a_signed_bill(), issuer=PLATFORM_KEY.identity)
        assert refusal_of(a_signed_bill(), issuer=METER_KEY.identity).startswith("issuer: 0x")

    def test_takes_the_owner_s_own_countersignature_and_nobody_else_s(self) -> None:
        verify_bill(countersign_bill(OWNER_KEY, a_signed_bill()))
        assert refusal_of(countersign_bill(METER_KEY, a_signed_bill())).startswith("countersignature: ")

    def test_names_the_reading_that_is_missing(self) -> None:
        without = (*READINGS[:2], *READINGS[3:])
        assert refusal_of(tampered(a_bill(), readings=without)) == "reading 2: number 3 came where 2 is next"

    def test_names_the_reading_that_is_there_twice(self) -> None:
        twice = (*READINGS[:3], *READINGS[2:])
        assert refusal_of(tampered(a_bill(), readings=twice)) == "reading 3: has number 2"

    def test_reprices_every_reading(self) -> None:
        dear = a_reading_chain(5, signed=RENTAL, amounts={2: 10_000, 3: 10_000, 4: 10_000})
        refusal = refusal_of(tampered(a_bill(), readings=dear))
        assert refusal == "reading 2: asks 10000, the tariff makes 262"

    def test_refuses_counters_beyond_reason_like_any_other_fault(self) -> None:
        wild = a_reading_chain(3, signed=RENTAL, counters=((0, 0), (0, 0), (2**255, 0)), amounts={2: 154_205})
        assert refusal_of(tampered(a_bill(), readings=wild)).startswith("reading 2: the counters make ")

    @pytest.mark.parametrize(
        ("changes", "refusal"),
        [
            ({"total": 100_000}, "lines: 3, the tariff makes 4"),
            ({"counters": (0, 0)}, "counters: [0, 0], the last reading says [6000000, 2000]"),
            ({"lines": ()}, "lines: 0, the tariff makes 3"),
            ({"fee": 0}, "fee: 0, the total makes 12"),
            ({"refund": 1}, "refund: 1, the total makes 153686"),
            ({"deposit_returned": 10_001}, "deposit_returned: 10001 of 10000"),
            ({"ceiling": None}, "total: 519 is above the ceiling, 0"),
            ({"funded_bps": 1}, "total: 519 is above what was funded, 15"),
        ],
    )
    def test_names_the_field_that_does_not_follow(self, changes: dict[str, Any], refusal: str) -> None:
        assert refusal_of(tampered(a_bill(), **changes)) == refusal

    def test_says_what_the_rental_cost_with_what_was_kept_of_the_deposit(self) -> None:
        assert a_bill().spent == 519
        assert a_bill(deposit_returned=9_000).spent == 1_519

    def test_refuses_a_total_beyond_the_last_reading(self) -> None:
        assert refusal_of(sign_bill(PLATFORM_KEY, a_bill(total=1_000))) == (
            "total: 1000 is above the last reading's amount, 519"
        )

    def test_refuses_a_ceiling_that_acknowledges_what_is_not_there(self) -> None:
        for changes, refusal in (
            ({"ack_reading": b"\x01" * 32}, "ceiling: acknowledges a reading that is not in the bill"),
            ({"ack_reading": bytes(32)}, "ceiling: acknowledges 391 of no reading"),
            ({"ack_amount": 392}, "ceiling: acknowledges 392, its reading asks 391"),
        ):
            ceiling = next_ceiling(RENTAL.agreement, READINGS[3].reading).model_copy(update=changes)
            signed = sign_ceiling(RENTER_AGENT_KEY, RENTAL.domain, ceiling)
            assert refusal_of(sign_bill(PLATFORM_KEY, a_bill(ceiling=signed))) == refusal

    def test_counts_a_first_ceiling_as_one_block(self) -> None:
        ceiling = first_ceiling(RENTAL.agreement, rental_id=RENTAL.rental_id)
        signed = sign_ceiling(RENTER_AGENT_KEY, RENTAL.domain, ceiling)
        verify_bill(sign_bill(PLATFORM_KEY, a_bill(ceiling=signed)))

    def test_holds_a_close_to_its_numbers(self) -> None:
        bill = a_signed_bill().bill
        assert refusal_of(tampered(bill, deposit_returned=9_999)) == (
            "deposit_returned: 9999 of 10000, damage was 0"
        )
        assert refusal_of(tampered(bill, total=1)) == "total: 1, both sides closed at 1419"

    def test_refuses_a_close_that_one_side_did_not_sign(self) -> None:
        bill = a_signed_bill().bill
        assert bill.close is not None
        forged = bill.close.model_copy(update={"renter_signature": bill.close.owner_signature})
        assert refusal_of(tampered(bill, close=forged)).startswith("close: the close is signed by 0x")

    def test_refuses_a_countersignature_that_is_none(self) -> None:
        signed = a_signed_bill().model_copy(update={"countersignature": b"\x01"})
        assert refusal_of(signed).startswith("countersignature: a signature of 1 bytes")

    def test_refuses_an_agreement_that_one_side_did_not_sign(self) -> None:
        rental = signed_agreement(renter_key=METER_KEY)
        assert refusal_of(tampered(a_bill(), rental=rental)).startswith("agreement: signed by 0x231f")
