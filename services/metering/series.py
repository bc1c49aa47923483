"""One rental's readings within one transaction.

Accept, hold, refuse, and promote what waited for a hole to fill.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from hireling.rental.batch import ReadingBatch
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import Reading, ReadingChain, ReadingRun
from hireling.rental.typed_data import hash_struct, to_hex
from services.metering.downlink import topic_of
from services.metering.models import WaitingReading
from services.metering.store import Store
from services.metering.taking import TakenReading, taken_readings
from services.metering.usage import Terms, check_rate
from services.metering.wire import Incoming, ReadingLetter, Refused, letter_of_run, refused

WAITING_PAGE = 200


class Series:
    """Takes readings, whose signers are checked, in ascending order of number."""

    def __init__(
        self, store: Store, terms: Terms, *, chain: ReadingChain, slack_seconds: float, hole_limit: int
    ) -> None:
        self.terms = terms
        self.chain = chain
        self.accepted: list[list[TakenReading]] = []
        """The readings that count from now on, by the letter that brought them."""
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
            elif letter.first <= self.chain.next_seq:
                if self._follow(letter, known):
                    first_waiting = self._promote(first_waiting, known)
            else:
                self._hold(letter, waiting)

    def _compare(self, letter: ReadingLetter, known: dict[int, str]) -> None:
        if known[letter.seq] != letter.hash:
            self._conflict(letter, known[letter.seq], letter.hash, seq=letter.seq)

    def _follow(self, letter: ReadingLetter, known: dict[int, str]) -> bool:
        """Take all of a letter's readings that are new, or none: only its last signature is checked."""
        run = letter.run
        skipped = self.chain.next_seq - letter.first
        if skipped and run.hashes[skipped - 1] != self.chain.head_hash:
            seq = self.chain.next_seq - 1
            ours = to_hex(self.chain.head_hash)
            theirs = to_hex(run.hashes[skipped - 1])
            self._conflict(letter, ours, theirs, seq=seq)
            return False
        chain = self.chain
        for reading, hashed in zip(run.readings[skipped:], run.hashes[skipped:], strict=True):
            try:
                chain = self._extended(chain, reading, hashed, received_at=letter.received_at)
            except ReadingRefused as error:
                self.refused.append(refused(letter, code=error.code, detail=error.detail, seq=reading.seq))
                return False
        self.chain = chain
        taken = taken_readings(letter, skipped=skipped)
        self.accepted.append(taken)
        known.update({one.seq: to_hex(one.hash) for one in taken})
        return True

    def _extended(
        self, chain: ReadingChain, reading: Reading, hashed: bytes, *, received_at: datetime
    ) -> ReadingChain:
        longer = chain.extended(reading, hashed=hashed)
        check_rate(
            self.terms,
            last=chain.last,
            reading=reading,
            received_at=received_at,
            slack_seconds=self._slack_seconds,
        )
        return longer

    def _hold(self, letter: ReadingLetter, waiting: dict[int, str]) -> None:
        expected = self.chain.next_seq
        if self._is_over:
            detail = f"reading {expected - 1} was the last"
            self.refused.append(refused(letter, code="after_last", detail=detail))
            return
        detail = f"waits for reading {expected}"
        if waiting.get(letter.first, letter.hash) != letter.hash:
            other = self._waiting_document(letter.first)
            if _is_one(other) and letter.first == letter.seq:
                self._refuse_twin(letter, waiting[letter.first], letter.hash, seq=letter.seq, against=other)
                return
            # Two runs of different lengths may well begin alike: which is right shows when their turn comes.
            detail += f"; others from {letter.first} on wait already: not kept, send it again"
        elif letter.seq >= expected + self._hole_limit:
            detail = (
                f"is more than {self._hole_limit} readings beyond reading {expected}: not kept, send it again"
            )
        elif letter.first not in waiting:
            waiting[letter.first] = letter.hash
            self.held.append(letter)
        self.refused.append(refused(letter, code="gap", detail=detail))

    def _waiting_document(self, first: int) -> dict[str, Any]:
        for letter in self.held:
            if letter.first == first:
                document: dict[str, Any] = json.loads(letter.document)
                return document
        return self._store.waiting(self._rental_id, from_seq=first, limit=1)[0].signed

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
        if letter.seq < self.chain.next_seq:
            self._compare(letter, known)
        elif letter.first > self.chain.next_seq:
            self._hold(letter, {})
        elif self._follow(letter, known):
            return
        self.judged_waiting.append(row.hash)

    def _conflict(self, letter: ReadingLetter, ours: str, theirs: str, *, seq: int) -> None:
        self._refuse_twin(letter, ours, theirs, seq=seq, against=self._accepted_reading(seq))

    def _refuse_twin(
        self, letter: ReadingLetter, ours: str, theirs: str, *, seq: int, against: dict[str, Any]
    ) -> None:
        detail = f"reading {seq} is {ours}, this is {theirs}"
        self.refused.append(
            refused(letter, code="conflicting_number", detail=detail, against=against, seq=seq)
        )

    def _accepted_reading(self, seq: int) -> dict[str, Any]:
        for taken in self.accepted:
            for one in taken:
                if one.seq == seq:
                    wire: dict[str, Any] = json.loads(one.wire)
                    return wire
        return self._store.accepted_reading(self._rental_id, seq)

    def _letter_of(self, row: WaitingReading) -> ReadingLetter:
        incoming = Incoming(
            topic=topic_of(self.terms.device, "readings" if _is_one(row.signed) else "batches"),
            payload=json.dumps(row.signed).encode(),
            received_at=row.received_at,
        )
        # Its signature was checked before it was left to wait.
        whole = {"readings": [row.signed]} if _is_one(row.signed) else row.signed
        batch = ReadingBatch.model_validate(whole)
        run = ReadingRun(
            domain=self.terms.domain,
            readings=tuple(signed.reading for signed in batch.readings),
            hashes=tuple(hash_struct(signed.reading) for signed in batch.readings),
            signatures=tuple(signed.signature for signed in batch.readings),
            signer=self.terms.meter,
        )
        return letter_of_run(incoming, run)

    @property
    def _is_over(self) -> bool:
        return self.chain.last is not None and self.chain.last.last


def _is_one(document: dict[str, Any]) -> bool:
    return "reading" in document
