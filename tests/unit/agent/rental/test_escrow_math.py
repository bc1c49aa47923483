"""The escrow's slot: its formulas and the limits of its calls, as its specification says them."""

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from hireling.rental.errors import EscrowRefused
from hireling.rental.escrow_math import (
    Move,
    Slot,
    Status,
    claim,
    claim_damage,
    close,
    dispute,
    dispute_by,
    exit_early,
    held,
    open_slot,
    owed,
    pot,
    prepaid,
    rate_cap,
    rule,
    rule_by,
    rule_from,
    settle,
    stop_by,
    top_up,
    void_tail,
)
from tests.builders import NOW, a_listing, a_request, an_agreement, an_offer

START = int(NOW.timestamp())
AGREEMENT = an_agreement()
CLAIM_BY = AGREEMENT.claim_by
BLOCK = AGREEMENT.pay.block_max


def a_slot(*, status: Status = Status.OPEN, **changes: Any) -> Slot:
    return Slot(
        **{"paid": 4_000, "tail": 8_000, "claim_by": CLAIM_BY, "funded_bps": 10_000} | changes, status=status
    )


def refusal_of(call: Callable[[], Move]) -> str:
    with pytest.raises(EscrowRefused) as refusal:
        call()
    return refusal.value.code


class TestOwed:
    LEAST: ClassVar[dict[str, int]] = {
        "amount_due": 50_000,
        "max_claimable": 50_000,
        "ack_amount": 50_000,
        "now": START + 3_600,
    }

    @pytest.mark.parametrize(
        ("changes", "least"),
        [
            ({"amount_due": 7}, 7),
            ({"max_claimable": 7}, 7),
            ({"ack_amount": 7}, 7 + BLOCK),
            ({"now": START}, BLOCK),
            ({}, 50_000),
        ],
        ids=["amount due", "ceiling", "acknowledged and a block", "time", "all the same"],
    )
    def test_is_the_least_of_its_bounds(self, changes: dict[str, int], least: int) -> None:
        assert owed(AGREEMENT, a_slot(), **self.LEAST | changes) == least

    def test_never_exceeds_what_is_funded(self) -> None:
        assert owed(AGREEMENT, a_slot(funded_bps=100), **self.LEAST) == prepaid(AGREEMENT, 100) == 1_542

    def test_time_stops_when_use_ends(self) -> None:
        end = stop_by(AGREEMENT, a_slot())
        assert rate_cap(AGREEMENT, a_slot(), now=end) == rate_cap(AGREEMENT, a_slot(), now=end + 10**6)

    def test_a_part_of_a_second_of_the_rate_is_rounded_up(self) -> None:
        rate = AGREEMENT.pay.max_rate_per_hour
        assert rate_cap(AGREEMENT, a_slot(), now=START + 1) == BLOCK - (-rate // 3_600)

    def test_before_the_start_only_a_block_is_owed(self) -> None:
        assert rate_cap(AGREEMENT, a_slot(), now=START - 10**6) == BLOCK


class TestClaim:
    def test_pays_what_was_acknowledged_and_keeps_the_rest_as_tail(self) -> None:
        slot = a_slot(paid=0, tail=0)
        done = claim(
            AGREEMENT, slot, amount_due=9_000, max_claimable=20_000, ack_amount=5_000, now=START + 600
        )
        assert (done.slot.paid, done.slot.tail) == (5_000, 4_000)
        assert (done.payout.owner, done.payout.fee) == (4_875, 0)
        assert held(AGREEMENT, done.slot) == AGREEMENT.all_in - 4_875, "the fee waits inside"

    def test_lowers_neither_paid_nor_the_sum(self) -> None:
        done = claim(
            AGREEMENT, a_slot(), amount_due=5_000, max_claimable=5_000, ack_amount=5_000, now=START + 600
        )
        assert (done.slot.paid, done.slot.tail) == (5_000, 7_000)

    def test_pays_a_void_tail_only_as_far_as_acknowledged(self) -> None:
        void = a_slot(tail=0, status=Status.OPEN | Status.VOID)
        done = claim(
            AGREEMENT, void, amount_due=9_000, max_claimable=9_000, ack_amount=6_000, now=START + 600
        )
        assert (done.slot.paid, done.slot.tail) == (6_000, 0)

    def test_twice_is_nothing_new(self) -> None:
        evidence: dict[str, int] = {"amount_due": 9_000, "max_claimable": 9_000, "ack_amount": 5_000}
        done = claim(AGREEMENT, a_slot(), **evidence, now=START + 600)
        assert refusal_of(lambda: claim(AGREEMENT, done.slot, **evidence, now=START + 601)) == "nothing_new"

    def test_splitting_changes_neither_fee_nor_pay(self) -> None:
        def paid_in_steps(*amounts: int) -> tuple[int, int]:
            slot, owner, fee = a_slot(paid=0, tail=0), 0, 0
            for amount in amounts:
                done = claim(
                    AGREEMENT,
                    slot,
                    amount_due=amount,
                    max_claimable=amount,
                    ack_amount=amount,
                    now=START + 600,
                )
                slot, owner, fee = done.slot, owner + done.payout.owner, fee + done.payout.fee
            assert fee == 0
            closed = close(AGREEMENT, slot, use=slot.paid, damage=0)
            return owner + closed.payout.owner, closed.payout.fee

        assert paid_in_steps(9_999) == paid_in_steps(39, 79, 119, 5_001, 9_999)

    def test_ends_with_its_window(self) -> None:
        evidence: dict[str, int] = {"amount_due": 13_000, "max_claimable": 13_000, "ack_amount": 13_000}
        claim(AGREEMENT, a_slot(), **evidence, now=CLAIM_BY)
        assert refusal_of(lambda: claim(AGREEMENT, a_slot(), **evidence, now=CLAIM_BY + 1)) == "too_late"
        split = a_slot(status=Status.OPEN | Status.SPLIT)
        assert refusal_of(lambda: claim(AGREEMENT, split, **evidence, now=CLAIM_BY)) == "split"


class TestOpenAndTopUp:
    def test_take_in_the_share_and_the_deposit(self) -> None:
        opened = open_slot(AGREEMENT, funded_bps=5_000, now=START)
        assert opened.taken_in == 77_102 + 10_000 == held(AGREEMENT, opened.slot)
        raised = top_up(AGREEMENT, opened.slot, funded_bps=10_000, now=START)
        assert opened.taken_in + raised.taken_in == AGREEMENT.all_in == held(AGREEMENT, raised.slot)

    def test_keep_their_limits(self) -> None:
        late = AGREEMENT.rules.fund_by + 1
        assert refusal_of(lambda: open_slot(AGREEMENT, funded_bps=10_000, now=late)) == "too_late"
        assert refusal_of(lambda: open_slot(AGREEMENT, funded_bps=0, now=START)) == "bad_share"
        assert refusal_of(lambda: open_slot(AGREEMENT, funded_bps=10_001, now=START)) == "bad_share"
        long_ago = AGREEMENT.rules.end_by - 366 * 86_400 - 1
        assert refusal_of(lambda: open_slot(AGREEMENT, funded_bps=1, now=long_ago)) == "too_long"
        half = a_slot(funded_bps=5_000)
        assert refusal_of(lambda: top_up(AGREEMENT, half, funded_bps=5_000, now=START)) == "bad_share"
        after = stop_by(AGREEMENT, half) + 1
        assert refusal_of(lambda: top_up(AGREEMENT, half, funded_bps=6_000, now=after)) == "too_late"


class TestExit:
    def test_lowers_the_end_by_notice_and_window(self) -> None:
        assert exit_early(AGREEMENT, a_slot(), now=START).slot.claim_by == START + 120 + 3_600

    def test_never_raises_it(self) -> None:
        now = CLAIM_BY - 120 - 3_600
        assert refusal_of(lambda: exit_early(AGREEMENT, a_slot(), now=now)) == "no_earlier"


class TestClose:
    def test_pays_use_and_damage_and_returns_the_rest(self) -> None:
        done = close(AGREEMENT, a_slot(), use=10_000, damage=1_000)
        assert (done.payout.owner, done.payout.fee) == (6_000 - 150 + 1_000, 250), "the fee is of all 10,000"
        assert done.payout.renter == AGREEMENT.all_in - 4_000 - 7_000
        assert done.slot.status == Status.DONE

    def test_returns_the_owner_s_bond(self) -> None:
        damaged = a_slot(status=Status.OPEN | Status.DAMAGE)
        plain = close(AGREEMENT, a_slot(), use=4_000, damage=0).payout.owner
        assert close(AGREEMENT, damaged, use=4_000, damage=0).payout.owner == plain + 1_000

    def test_keeps_its_limits(self) -> None:
        assert refusal_of(lambda: close(AGREEMENT, a_slot(), use=3_999, damage=0)) == "bad_use"
        assert refusal_of(lambda: close(AGREEMENT, a_slot(), use=154_206, damage=0)) == "bad_use"
        assert refusal_of(lambda: close(AGREEMENT, a_slot(), use=4_000, damage=10_001)) == "bad_damage"
        split = a_slot(status=Status.OPEN | Status.SPLIT)
        assert refusal_of(lambda: close(AGREEMENT, split, use=13_001, damage=0)) == "not_enough"
        assert (
            refusal_of(lambda: close(AGREEMENT, a_slot(status=Status.DONE), use=4_000, damage=0))
            == "not_open"
        )


class TestSettle:
    def test_without_a_tail_ends_when_claims_end(self) -> None:
        quiet = a_slot(tail=0)
        assert refusal_of(lambda: settle(AGREEMENT, quiet, now=CLAIM_BY)) == "too_early"
        done = settle(AGREEMENT, quiet, now=CLAIM_BY + 1)
        assert (done.payout.owner, done.payout.renter) == (0, AGREEMENT.all_in - 4_000)

    def test_pays_an_undisputed_tail_after_its_window(self) -> None:
        done = settle(AGREEMENT, a_slot(), now=dispute_by(AGREEMENT, a_slot()) + 1)
        assert (done.payout.owner, done.payout.fee) == (8_000 - 200, 300)
        assert done.slot.status == Status.DONE

    def test_returns_what_is_not_contested_early_and_once(self) -> None:
        early = settle(AGREEMENT, a_slot(), now=CLAIM_BY + 1)
        assert early.payout.renter == AGREEMENT.all_in - 4_000 - 8_000 - 1_000
        assert held(AGREEMENT, early.slot) == 9_000 + 100, "the fee on 4,000 waits inside"
        assert refusal_of(lambda: settle(AGREEMENT, early.slot, now=CLAIM_BY + 2)) == "nothing_new"

    def test_gives_the_tail_to_the_owner_when_the_arbiter_is_silent(self) -> None:
        disputed = a_slot(status=Status.OPEN | Status.DISPUTE)
        done = settle(AGREEMENT, disputed, now=rule_by(AGREEMENT, disputed) + 1)
        assert (done.payout.owner, done.payout.fee) == (7_800, 300)
        assert done.payout.renter == AGREEMENT.all_in - 4_000 - 8_000

    def test_gives_a_void_tail_to_the_renter(self) -> None:
        split = a_slot(status=Status.OPEN | Status.SPLIT | Status.DISPUTE)
        void = void_tail(split).slot
        assert void.tail == 8_000
        assert settle(AGREEMENT, void, now=CLAIM_BY + 1).payout.renter == 9_000


class TestDispute:
    def test_opens_only_after_claims_have_ended(self) -> None:
        assert refusal_of(lambda: dispute(AGREEMENT, a_slot(), now=CLAIM_BY)) == "wrong_time"
        assert dispute(AGREEMENT, a_slot(), now=CLAIM_BY + 1).slot.disputed
        late = dispute_by(AGREEMENT, a_slot()) + 1
        assert refusal_of(lambda: dispute(AGREEMENT, a_slot(), now=late)) == "wrong_time"

    def test_needs_a_tail_that_counts(self) -> None:
        assert refusal_of(lambda: dispute(AGREEMENT, a_slot(tail=0), now=CLAIM_BY + 1)) == "no_tail"
        void = a_slot(status=Status.OPEN | Status.VOID)
        assert refusal_of(lambda: dispute(AGREEMENT, void, now=CLAIM_BY + 1)) == "already"


class TestRule:
    CONTESTED = a_slot(status=Status.OPEN | Status.DISPUTE | Status.DAMAGE)
    NOW = rule_from(AGREEMENT, CONTESTED) + 1

    def test_who_loses_wholly_loses_the_bond(self) -> None:
        owner_wins = rule(AGREEMENT, self.CONTESTED, use=8_000, damage=9_000, now=self.NOW).payout
        # 8,000 less a fee of 200, the damage, the renter's bond, and the owner's own bond back.
        assert owner_wins.owner == 7_800 + 9_000 + 1_000 + 1_000
        owner_loses = rule(AGREEMENT, self.CONTESTED, use=0, damage=0, now=self.NOW).payout
        assert (owner_loses.owner, owner_loses.fee) == (0, 100)
        assert owner_loses.renter == held(AGREEMENT, self.CONTESTED) - 100

    def test_stays_inside_what_is_contested(self) -> None:
        assert (
            refusal_of(lambda: rule(AGREEMENT, self.CONTESTED, use=8_001, damage=0, now=self.NOW))
            == "bad_ruling"
        )
        assert (
            refusal_of(lambda: rule(AGREEMENT, self.CONTESTED, use=0, damage=9_001, now=self.NOW))
            == "bad_ruling"
        )
        damaged = a_slot(status=Status.OPEN | Status.DAMAGE)
        assert refusal_of(lambda: rule(AGREEMENT, damaged, use=7_999, damage=0, now=self.NOW)) == "bad_ruling"
        rule(AGREEMENT, damaged, use=8_000, damage=10_000, now=self.NOW)

    @pytest.mark.parametrize("now", [NOW - 1, rule_by(AGREEMENT, CONTESTED) + 1])
    def test_has_its_time(self, now: int) -> None:
        assert refusal_of(lambda: rule(AGREEMENT, self.CONTESTED, use=0, damage=0, now=now)) == "wrong_time"

    def test_needs_something_contested(self) -> None:
        assert refusal_of(lambda: rule(AGREEMENT, a_slot(), use=0, damage=0, now=self.NOW)) == "not_contested"


class TestDamage:
    def test_puts_down_a_bond(self) -> None:
        done = claim_damage(AGREEMENT, a_slot(), amount=1, now=CLAIM_BY)
        assert done.taken_in == 1_000
        assert held(AGREEMENT, done.slot) == held(AGREEMENT, a_slot()) + 1_000

    def test_keeps_its_limits(self) -> None:
        assert refusal_of(lambda: claim_damage(AGREEMENT, a_slot(), amount=0, now=START)) == "bad_damage"
        assert refusal_of(lambda: claim_damage(AGREEMENT, a_slot(), amount=10_001, now=START)) == "bad_damage"
        assert refusal_of(lambda: claim_damage(AGREEMENT, a_slot(), amount=1, now=CLAIM_BY + 1)) == "too_late"

    def test_cannot_be_claimed_on_a_rental_without_a_deposit(self) -> None:
        listing = a_listing(deposit=0)
        free = an_agreement(offer=an_offer(listing=listing, request=a_request(listing=listing)))
        assert pot(free, a_slot()) == prepaid(free, 10_000) - 4_000
        assert refusal_of(lambda: claim_damage(free, a_slot(), amount=1, now=START)) == "bad_damage"
