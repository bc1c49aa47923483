"""Flags delay the unacknowledged tail only: what is acknowledged is paid the same with and without."""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hireling.rental import escrow_math
from hireling.rental.ceiling import Ceiling, sign_ceiling
from hireling.rental.escrow_math import Slot
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.messages.errors import Unavailable
from services.messages.events.metering import FlagCleared, Flagged
from services.settlement import flags
from services.settlement.claims import Rhythm, claimable, urgent_from
from services.settlement.intake import take_ceiling, take_readings
from services.settlement.models import AcknowledgedRow
from services.settlement.progress import ceiling_of, reading_of, slot_of
from services.settlement.store import Store
from tests.builders import DOMAIN, NOW, RENTER_AGENT_KEY, a_reading_chain
from tests.properties.settlement.test_delivery import SIGNED, agreement, empty_database

READINGS = a_reading_chain(60, signed=SIGNED)
AMOUNTS = [int(each.reading.amount_due) for each in READINGS]
RHYTHM = Rhythm(every=timedelta(0), patience=timedelta(0), margin=timedelta(minutes=30))
CLAIM_BY = SIGNED.agreement.claim_by
UNTIL = urgent_from(RHYTHM, claim_by=CLAIM_BY)


@dataclass(frozen=True)
class Read:
    """More readings count."""

    number: int


@dataclass(frozen=True)
class Acknowledge:
    """The renter acknowledges a share of what is due, in hundredths."""

    share: int


@dataclass(frozen=True)
class Raise:
    """A counted reading is flagged; its place is a share of those counted, in hundredths."""

    share: int


@dataclass(frozen=True)
class Clear:
    """A person clears the newest flag."""


STEPS = st.lists(
    st.one_of(
        st.builds(Read, st.integers(1, 12)),
        st.builds(Acknowledge, st.integers(0, 100)),
        st.builds(Raise, st.integers(0, 100)),
        st.builds(Clear),
    ),
    min_size=1,
    max_size=25,
)


@dataclass
class Scene:
    """A rental in use, and what claims would do to its money with flags and without."""

    database: Database
    now: int
    plain: Slot
    flagged: Slot
    counted: int = 0
    raised: list[Flagged] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)

    def take(self, store: Store, step: Read | Acknowledge | Raise | Clear) -> None:
        if isinstance(step, Read):
            some = READINGS[self.counted : self.counted + step.number]
            self.counted += len(some)
            if some:
                take_readings(store, SIGNED.rental_id, some)
        elif isinstance(step, Acknowledge) and self.counted:
            self._acknowledge(store, AMOUNTS[self.counted - 1] * step.share // 100)
        elif isinstance(step, Raise) and self.counted:
            seq = (self.counted - 1) * step.share // 100
            flag = Flagged(
                rental_id=SIGNED.rental_id, seq=seq, code="gap", reason="", amount_due=AMOUNTS[seq], at=NOW
            )
            flags.take_flag(store, flag)
            # The same again is no other flag, and stays cleared where it was.
            self.raised += [flag] if seq not in self.seen else []
            self.seen.add(seq)
        elif isinstance(step, Clear) and self.raised:
            flag = self.raised.pop()
            flags.clear_flag(
                store, FlagCleared(rental_id=flag.rental_id, seq=flag.seq, code=flag.code, at=NOW)
            )

    def _acknowledge(self, store: Store, amount: int) -> None:
        pay = SIGNED.agreement.pay
        ceiling = Ceiling(
            rental_id=SIGNED.rental_id,
            max_claimable=min(amount + pay.block_max, pay.max_total),
            ack_amount=amount,
            ack_reading=bytes(32),
        )
        take_ceiling(store, SIGNED.rental_id, sign_ceiling(RENTER_AGENT_KEY, DOMAIN, ceiling))

    def look_up(self, store: Store) -> None:
        """Do what settlement asks metering for."""
        for row in store.flagged_rentals():
            amount = flags._wanted(row)
            if amount:
                found = READINGS[bisect_left(AMOUNTS, amount)]
                store.keep_acknowledged(
                    AcknowledgedRow(
                        rental_id=row.rental_id, amount=amount, signed=found.model_dump(mode="json")
                    )
                )

    def claim(self, store: Store) -> None:
        """Claim as far as there is something to claim, without flags and with them."""
        row = store.rental(to_hex(SIGNED.rental_id))
        ceiling, last = ceiling_of(row), reading_of(row)
        if ceiling is None or last is None:
            return
        after = claimable(SIGNED.agreement, self.plain, last.reading, ceiling.ceiling, now=self.now)
        self.plain = after or self.plain
        now = datetime.fromtimestamp(self.now, UTC)
        standing = store.standing_flags().get(row.rental_id, [])
        reading = flags.claimable_reading(store, row, standing, rhythm=RHYTHM, now=now)
        before = self.flagged
        if reading is None:
            assert int(ceiling.ceiling.ack_amount) <= before.paid, "what was acknowledged is at hand"
            return
        after = claimable(SIGNED.agreement, before, reading.reading, ceiling.ceiling, now=self.now)
        self.flagged = after or before
        acknowledged = int(ceiling.ceiling.ack_amount)
        held = self.now < UNTIL.timestamp() and any(int(f.amount_due) > acknowledged for f in self.raised)
        if held:
            beyond = AMOUNTS[bisect_left(AMOUNTS, acknowledged)]
            assert self.flagged.paid + self.flagged.tail <= max(before.paid + before.tail, beyond)
        row.paid = self.flagged.paid


@contextmanager
def scene(now: int) -> Iterator[Scene]:
    """Open an agreed rental whose money is in the escrow."""
    database = empty_database()
    slot = escrow_math.open_slot(SIGNED.agreement, funded_bps=10_000, now=int(NOW.timestamp())).slot
    with database.unit_of_work() as session:
        store = Store(session, now=NOW)
        agreement(store)
        session.flush()
        row = store.rental(to_hex(SIGNED.rental_id))
        row.money, row.slot_status, row.funded_bps = "open", int(slot.status), 10_000
        assert slot_of(row) == slot
    yield Scene(database, now, slot, slot)
    database.close()


def walk(rental: Scene, steps: list[Read | Acknowledge | Raise | Clear]) -> None:
    for step in steps:
        with rental.database.unit_of_work() as session:
            store = Store(session, now=NOW)
            rental.take(store, step)
            session.flush()
            rental.look_up(store)
            session.flush()
            rental.claim(store)
        assert rental.flagged.paid == rental.plain.paid, "acknowledged money is paid the same"
        assert rental.flagged.paid + rental.flagged.tail <= rental.plain.paid + rental.plain.tail


class TestFlags:
    @settings(max_examples=25, deadline=None)
    @given(STEPS)
    def test_pay_what_is_acknowledged_the_same_and_hold_only_the_tail(
        self, steps: list[Read | Acknowledge | Raise | Clear]
    ) -> None:
        with scene(int(UNTIL.timestamp()) - 1) as rental:
            walk(rental, steps)
            while rental.raised:
                walk(rental, [Clear()])
            assert rental.flagged == rental.plain, "cleared flags hold nothing"

    @settings(max_examples=12, deadline=None)
    @given(STEPS)
    def test_hold_nothing_once_claims_are_about_to_end(
        self, steps: list[Read | Acknowledge | Raise | Clear]
    ) -> None:
        with scene(int(UNTIL.timestamp()) - 1) as rental:
            walk(rental, steps)
            rental.now += 1
            walk(rental, [Acknowledge(0)])
            assert rental.flagged == rental.plain, "the challenge window decides, as of any tail"

    def test_ignore_a_redelivered_event(self) -> None:
        with scene(int(UNTIL.timestamp()) - 1) as rental:
            walk(rental, [Read(10), Raise(100)])
            (flag,) = rental.raised
            cleared = FlagCleared(rental_id=flag.rental_id, seq=flag.seq, code=flag.code, at=NOW)
            with rental.database.unit_of_work() as session:
                store = Store(session, now=NOW)
                for _ in range(2):
                    flags.take_flag(store, flag)
                    flags.clear_flag(store, cleared)
                    flags.take_flag(store, flag)
                (row,) = store.flags(to_hex(SIGNED.rental_id))
                assert row.cleared_at == NOW

    def test_are_cleared_only_once_they_are_known(self) -> None:
        with scene(0) as rental, rental.database.unit_of_work() as session:
            early = FlagCleared(rental_id=SIGNED.rental_id, seq=3, code="gap", at=NOW)
            with pytest.raises(Unavailable, match="on its way"):
                flags.clear_flag(Store(session, now=NOW), early)
