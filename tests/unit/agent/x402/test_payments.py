"""Money in is money spent, money earned and money back."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.x402.authorization import Authorization
from hireling.x402.payments import Payment, PaymentBook, Unbalanced
from tests.unit.agent.x402.payers import FRONT, PAYER

AMOUNTS = st.integers(min_value=0, max_value=2**96)


def a_payment(*, value: int = 1_000, **changes: Any) -> Payment:
    """Return a payment that was settled."""
    signed = Authorization(
        sender=PAYER.identity,
        recipient=FRONT.identity,
        value=value,
        valid_after=0,
        valid_before=2_000_000_000,
        nonce=b"\x01" * 32,
        signature=bytes(65),
    )
    terms: dict[str, Any] = {
        "authorization": signed,
        "device": bytes(32),
        "listing": bytes(32),
        "seconds": 60,
        "fee": 7,
        "stop_hash": bytes(32),
        "refund_nonce": bytes(32),
        "taken_at": 1_900_000_000,
        "seen_from": 1,
        "stage": "paid",
    }
    return Payment.model_validate(terms | changes)


class TestOver:
    @given(spent=AMOUNTS, fee=AMOUNTS, left=AMOUNTS)
    def test_every_unit_is_spent_earned_or_sent_back(self, spent: int, fee: int, left: int) -> None:
        over = a_payment(value=spent + fee + left, fee=fee).over(spent=spent, reason=None, seen_from=2)
        assert over.spent is not None
        assert over.refund is not None
        assert over.authorization.value == over.spent + over.fee + over.refund
        assert (over.fee, over.refund) == ((fee, left) if spent else (0, fee + left))

    def test_nothing_used_costs_nothing(self) -> None:
        over = a_payment().over(spent=0, reason="no deal", seen_from=2)
        assert (over.fee, over.refund) == (0, 1_000)

    def test_never_spends_more_than_was_paid(self) -> None:
        with pytest.raises(Unbalanced):
            a_payment().over(spent=994, reason=None, seen_from=2)


class TestPaymentBook:
    def test_reads_what_it_wrote(self, tmp_path: Path) -> None:
        book = PaymentBook(tmp_path / "payments")
        assert list(book.all()) == []
        payment = book.write(a_payment())
        book.write(payment.over(spent=10, reason=None, seen_from=9))
        (kept,) = PaymentBook(tmp_path / "payments").all()
        assert (kept.stage, kept.spent, kept.refund) == ("over", 10, 983)
        assert list(book.rentals(kept).pages()) == []
