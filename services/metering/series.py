"""One rental's readings within one transaction.

Accept, hold, refuse, and promote what waited for a hole to fill.
"""

import json
from collections.abc import Sequence
from typing import Any

from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.typed_data import from_hex
from services.metering.downlink import topic_of
from services.metering.models import WaitingReading
from services.metering.store import Store
from services.metering.usage import Terms, check_rate
from services.metering.wire import Incoming, ReadingLetter, Refused, refused

WAITING_PAGE = 200


class Series:
    """Takes readings, whose signers are checked, in ascending order of number."""

    def __init__(
        self, store: Store, terms: Terms, *, chain: ReadingChain, slack_seconds: float, hole_limit: int
    ) -> None:
        self.terms = terms
        self.chain = chain
        self.accepted: list[ReadingLetter] = []
        self.held: list[ReadingLetter] = []
        self.refused: list[Refused] = []
        self.judged_waiting: list[str] = []
        """Hashes of readings that waited and were refused when their turn came."""
        self.reached: int | None = None
        """The highest waiting number that has been accepted or refused."""
        self._store = store
        self._slack_seconds = slack_seconds
        self._hole_limit = hole_limit
        self._rental_id = f"0x{terms.rental_id.hex()}"

    def take(
        self,
        letters: Sequence[ReadingLetter],
        *,
        known: dict[int, str],
        waiting: dict[int, str],
        first_waiting: int | None,
    ) -> None:
        """Take readings in ascending order.

        `known` are the hashes of those of these numbers that were accepted before, `waiting` of those that
        wait; `first_waiting` is the lowest number that waits.
        """
        for letter in letters:
            if letter.seq < self.chain.next_seq:
                self._compare(letter, known)
            elif letter.seq == self.chain.next_seq:
                if self._follow(letter, known):
                    first_waiting = self._promote(first_waiting, known)
            else:
                self._hold(letter, waiting)

    def _compare(self, letter: ReadingLetter, known: dict[int, str]) -> None:
        if known[letter.seq] != letter.hash:
            self._conflict(letter, known[letter.seq], against=self._accepted_reading(letter.seq))

    def _follow(self, letter: ReadingLetter, known: dict[int, str]) -> bool:
        try:
            chain = self.chain.extended(letter.signed.reading, hashed=from_hex(letter.hash))
            check_rate(
                self.terms,
                last=self.chain.last,
                reading=letter.signed.reading,
                received_at=letter.incoming.received_at,
                slack_seconds=self._slack_seconds,
            )
        except ReadingRefused as error:
            self.refused.append(refused(letter, code=error.code, detail=error.detail))
            return False
        self.chain = chain
        self.accepted.append(letter)
        known[letter.seq] = letter.hash
        return True

    def _hold(self, letter: ReadingLetter, waiting: dict[int, str]) -> None:
        expected = self.chain.next_seq
        if self._is_over:
            detail = f"reading {expected - 1} was the last"
            self.refused.append(refused(letter, code="after_last", detail=detail))
            return
        if waiting.get(letter.seq, letter.hash) != letter.hash:
            against = self._store.waiting(self._rental_id, from_seq=letter.seq, limit=1)
            held = [other for other in self.held if other.seq == letter.seq]
            other = held[0].signed.model_dump(mode="json") if held else against[0].signed
            self._conflict(letter, waiting[letter.seq], against=other)
            return
        detail = f"waits for reading {expected}"
        if letter.seq >= expected + self._hole_limit:
            detail = (
                f"is more than {self._hole_limit} readings beyond reading {expected}: not kept, send it again"
            )
        elif letter.seq not in waiting:
            waiting[letter.seq] = letter.hash
            self.held.append(letter)
        self.refused.append(refused(letter, code="gap", detail=detail))

    def _promote(self, first_waiting: int | None, known: dict[int, str]) -> int | None:
        """Take the waiting readings whose turn has come; return the lowest number that still waits."""
        while first_waiting is not None and (self._is_over or first_waiting <= self.chain.next_seq):
            rows = self._store.waiting(self._rental_id, from_seq=first_waiting, limit=WAITING_PAGE)
            first_waiting = None
            for row in rows:
                if row.seq > self.chain.next_seq and not self._is_over:
                    return row.seq
                self.reached = row.seq
                self._take_waiting(row, known)
                first_waiting = row.seq + 1
        return first_waiting

    def _take_waiting(self, row: WaitingReading, known: dict[int, str]) -> None:
        letter = self._letter_of(row)
        if row.seq < self.chain.next_seq:
            self._compare(letter, known)
        elif row.seq > self.chain.next_seq:
            self._hold(letter, {})
        elif self._follow(letter, known):
            return
        self.judged_waiting.append(row.hash)

    def _conflict(self, letter: ReadingLetter, other_hash: str, *, against: dict[str, Any]) -> None:
        detail = f"reading {letter.seq} is {other_hash}, this is {letter.hash}"
        self.refused.append(refused(letter, code="conflicting_number", detail=detail, against=against))

    def _accepted_reading(self, seq: int) -> dict[str, Any]:
        for letter in self.accepted:
            if letter.seq == seq:
                return letter.signed.model_dump(mode="json")
        return self._store.accepted_reading(self._rental_id, seq)

    def _letter_of(self, row: WaitingReading) -> ReadingLetter:
        incoming = Incoming(
            topic=topic_of(self.terms.device, "readings"),
            payload=json.dumps(row.signed).encode(),
            received_at=row.received_at,
        )
        signed = SignedReading.model_validate(row.signed)
        return ReadingLetter(incoming=incoming, signed=signed, hash=row.hash)

    @property
    def _is_over(self) -> bool:
        return self.chain.last is not None and self.chain.last.last
