"""The renter's eye on the meter.

Every reading is checked and repriced before a single base unit is acknowledged.
"""

from collections.abc import Sequence

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import Ceiling, first_ceiling, next_ceiling
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import (
    Reading,
    ReadingChain,
    ReadingEvent,
    SignedReading,
    check_rates,
    reading_hash,
)
from hireling.rental.tariff import price

# A new ceiling is due when what it would acknowledge has grown by a quarter of a block: the machine then
# never waits for an attentive renter, and a lost ceiling or two do not stop it.
RENEW_AT_BLOCK_SHARE = 4


class Follower:
    """One rental's readings as the renter accepts them, and the ceilings that follow from them. Pure."""

    def __init__(
        self, agreement: SignedAgreement, *, last: Reading | None = None, ceiling: Ceiling | None = None
    ) -> None:
        """Begin, or go on from the last accepted reading and the last ceiling that was signed."""
        self._agreement = agreement
        self._tariff = agreement.offer.tariff
        self._chain = ReadingChain.resumed(
            rental_id=agreement.rental_id,
            meter=agreement.agreement.pay.meter,
            domain=agreement.domain,
            last=last,
        )
        self._first_known = self._chain.next_seq
        self._hashes: dict[int, bytes] = {}
        self.ceiling = ceiling

    @property
    def last(self) -> Reading | None:
        """Return the last accepted reading."""
        return self._chain.last

    @property
    def next_seq(self) -> int:
        """Return the number that comes next."""
        return self._chain.next_seq

    @property
    def is_over(self) -> bool:
        """Return whether the last reading of the rental was accepted."""
        return self.last is not None and self.last.last

    @property
    def amount_due(self) -> int:
        """Return what was accepted so far, in base units."""
        return self.last.amount_due if self.last else 0

    def take(self, signed: SignedReading) -> bool:
        """Accept a reading; return whether it was new.

        Raises ReadingRefused: ``gap`` is mended by what is missing, anything else is a reason to acknowledge
        nothing more.
        """
        seq = signed.reading.seq
        if seq < self._first_known:
            return False  # accepted before a restart, which remembers only the last one's hash
        longer = self._chain.accept(signed, known_hash=self._hashes.get(seq))
        if longer.next_seq == self._chain.next_seq:
            return False
        self._check_use(signed.reading)
        self._check_amount(signed.reading)
        self._hashes[seq] = reading_hash(signed.reading)
        self._chain = longer
        return True

    def take_all(self, readings: Sequence[SignedReading]) -> list[Reading]:
        """Accept what is new among readings in order, and return it. Raises ReadingRefused."""
        return [signed.reading for signed in readings if self.take(signed)]

    def due_ceiling(self) -> Ceiling | None:
        """Return the ceiling to sign now, or None while the last one is good enough."""
        agreement = self._agreement.agreement
        if self.ceiling is None and self.last is None:
            return first_ceiling(agreement, rental_id=self._agreement.rental_id)
        if self.last is None:
            return None
        coming = next_ceiling(agreement, self.last)
        signed = self.ceiling
        if signed is None:
            return coming
        if coming == signed or coming.ack_amount < signed.ack_amount:
            return None
        grown = coming.ack_amount - signed.ack_amount
        is_urgent = self.last.last or self.last.sample.event == ReadingEvent.SUSPEND
        if is_urgent or grown * RENEW_AT_BLOCK_SHARE >= agreement.pay.block_max:
            return coming
        return None

    def _check_use(self, reading: Reading) -> None:
        if self.last is None:
            return
        most = [counter.max_per_second for counter in self._tariff.counters]
        check_rates(self.last.sample, reading.sample, max_per_second=most)

    def _check_amount(self, reading: Reading) -> None:
        due = price(self._tariff, reading.sample.counters)
        if reading.amount_due > due:
            raise ReadingRefused(
                "amount_above_tariff",
                f"number {reading.seq} asks {reading.amount_due}, the tariff makes {due}",
            )
        claimable = self.ceiling.max_claimable if self.ceiling else 0
        if reading.amount_due > claimable:
            raise ReadingRefused(
                "above_ceiling", f"number {reading.seq} asks {reading.amount_due}, allowed were {claimable}"
            )
