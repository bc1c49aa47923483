"""A rental's money, derived from logs alone."""

import pytest

from hireling.rental.escrow_math import Status
from hireling.rental.money import fee_of
from services.settlement.books import Books, Entry, books_of, deposit_returned, money_by
from tests.builders import an_agreement

AGREEMENT = an_agreement()
TOTAL, DEPOSIT = AGREEMENT.pay.max_total, AGREEMENT.rules.deposit
OPENED = Entry("Opened", {"prepaid": str(TOTAL), "deposit": str(DEPOSIT), "fundedBps": "10000"})


def claimed(*, paid: int, tail: int) -> Entry:
    """Return the log of a claim, alone or as a batch's row."""
    return Entry("Claimed", {"paid": str(paid), "tail": str(tail)})


def ended(name: str, **amounts: int) -> Entry:
    """Return the log of an end."""
    return Entry(name, {key: str(value) for key, value in amounts.items()})


def conserved(books: Books) -> bool:
    """Return whether what came in is what went out."""
    return books.prepaid + DEPOSIT == books.to_owner + books.fee_credited + books.refund


class TestBooksOf:
    def test_are_empty_without_logs(self) -> None:
        assert books_of(AGREEMENT, []).money == "none"

    def test_open_with_the_deposit(self) -> None:
        books = books_of(AGREEMENT, [OPENED])
        assert (books.money, books.prepaid, books.slot.claim_by) == ("open", TOTAL, AGREEMENT.claim_by)

    def test_add_up_claims_and_a_close(self) -> None:
        first, second = claimed(paid=1_000, tail=50), claimed(paid=1_777, tail=0)
        use, fee = 2_000, fee_of(2_000, AGREEMENT.pay.fee_bps)
        paid_fee = fee_of(1_777, AGREEMENT.pay.fee_bps)
        close = ended(
            "Closed",
            use=use,
            damage=0,
            toOwner=use - 1_777 - (fee - paid_fee),
            fee=fee,
            toRenter=TOTAL + DEPOSIT - use,
        )
        books = books_of(AGREEMENT, [OPENED, first, second, close])
        assert (books.money, books.slot.paid, books.slot.tail, books.fee) == ("done", use, 0, fee)
        assert books.to_owner == use - fee
        assert conserved(books)
        assert deposit_returned(books, deposit=DEPOSIT) == DEPOSIT

    @pytest.mark.parametrize("steps", [(1_777,), (39, 79, 1_000, 1_777)])
    def test_keep_the_fee_of_claims_in_the_escrow_until_the_end(self, steps: tuple[int, ...]) -> None:
        books = books_of(AGREEMENT, [OPENED, *(claimed(paid=paid, tail=0) for paid in steps)])
        fee = fee_of(1_777, AGREEMENT.pay.fee_bps)
        assert (books.fee, books.fee_credited) == (fee, 0)
        assert books.to_owner == 1_777 - fee

    def test_are_not_changed_by_a_row_that_a_batch_skipped(self) -> None:
        claim, skipped = claimed(paid=1_000, tail=50), Entry("ClaimSkipped", {"outcome": "NOT_OPEN"})
        assert books_of(AGREEMENT, [OPENED, claim, skipped]) == books_of(AGREEMENT, [OPENED, claim])

    def test_keep_what_damage_cost_out_of_the_returned_deposit(self) -> None:
        close = ended("Closed", use=0, damage=300, toOwner=300, fee=0, toRenter=TOTAL + DEPOSIT - 300)
        books = books_of(AGREEMENT, [OPENED, close])
        assert deposit_returned(books, deposit=DEPOSIT) == DEPOSIT - 300

    def test_add_up_an_early_part_and_the_end(self) -> None:
        bond = DEPOSIT // 10
        claim = claimed(paid=1_000, tail=50)
        early = ended("Split", refund=TOTAL + DEPOSIT - 1_000 - 50 - bond)
        fee, fee_before = fee_of(1_050, AGREEMENT.pay.fee_bps), fee_of(1_000, AGREEMENT.pay.fee_bps)
        end = ended("Settled", paid=1_050, toOwner=50 - (fee - fee_before), fee=fee, toRenter=bond)
        books = books_of(AGREEMENT, [OPENED, claim, early, end])
        assert (books.money, books.slot.paid) == ("done", 1_050)
        assert conserved(books)

    def test_note_exit_dispute_damage_and_a_voided_tail(self) -> None:
        entries = [
            OPENED,
            claimed(paid=1_000, tail=50),
            ended("Exited", claimBy=AGREEMENT.claim_by - 60),
            ended("DamageClaimed", amount=7),
            ended("Disputed", tail=50),
            ended("TailVoided", tail=50),
        ]
        slot = books_of(AGREEMENT, entries).slot
        assert slot.claim_by == AGREEMENT.claim_by - 60
        assert slot.status == Status.OPEN | Status.DAMAGE | Status.DISPUTE | Status.VOID
        assert slot.tail == 0

    def test_follow_a_top_up_and_a_ruling(self) -> None:
        half = Entry("Opened", {"prepaid": str(TOTAL // 2), "deposit": str(DEPOSIT), "fundedBps": "5000"})
        more = ended("ToppedUp", prepaid=TOTAL, added=TOTAL - TOTAL // 2, fundedBps=10_000)
        claim = claimed(paid=1_000, tail=50)
        ruled = ended("Ruled", tailToOwner=20, depositToOwner=0, toOwner=20, fee=0, toRenter=0)
        books = books_of(AGREEMENT, [half, more, claim, ruled])
        assert (books.prepaid, books.slot.paid) == (TOTAL, 1_020)


class TestMoneyBy:
    @pytest.mark.parametrize(
        ("names", "money"),
        [
            ([], "none"),
            (["Opened"], "open"),
            (["Opened", "Claimed", "Split", "Exited"], "open"),
            (["Opened", "Claimed", "Closed"], "done"),
            (["Opened", "Settled"], "done"),
            (["Opened", "Disputed", "Ruled"], "done"),
        ],
    )
    def test_is_where_the_names_of_the_logs_say(self, names: list[str], money: str) -> None:
        assert money_by(names) == money
