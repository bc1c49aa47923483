"""One rental's readings within one transaction.

Accept, hold, refuse, and promote what waited for a hole to fill.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from operator import le
from typing import Any

from hireling.rental.batch import ReadingBatch
from hireling.rental.chain_rules import Measured, check_follows
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import ReadingRun, measured
from hireling.rental.typed_data import hash_struct, to_hex
from services.metering.downlink import topic_of
from services.metering.models import WaitingReading
from services.metering.store import Store
from services.metering.taking import Taken
from services.metering.usage import Head, Terms, check_rate, check_since_start
from services.metering.wire import Incoming, ReadingLetter, Refused, letter_of_run, refused

WAITING_PAGE = 200


class Series:
    """Takes readings, whose signers are checked, in ascending order of number."""

    def __init__(
        self, store: Store, terms: Terms, *, head: Head, slack_seconds: float, hole_limit: int
    ) -> None:
        self.terms = terms
        self.head = head
        """How far the rental has come."""
        self.accepted: list[Taken] = []
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
            if letter.seq < self.head.next_seq:
                self._compare(letter, known)
            elif letter.first <= self.head.next_seq:
                if self._follow(letter):
                    first_waiting = self._promote(first_waiting, known)
            else:
                self._hold(letter, waiting)

    def _compare(self, letter: ReadingLetter, known: dict[int, str]) -> None:
        ours = known.get(letter.seq) or self._hash_just_taken(letter.seq)
        # What is not kept any more cannot be compared, and counted once.
        if ours is not None and ours != letter.hash:
            self._conflict(letter, ours, letter.hash, seq=letter.seq)

    def _hash_just_taken(self, seq: int) -> str | None:
        taken = self._just_taken(seq)
        return None if taken is None else to_hex(taken.letter.hash_at(seq - taken.letter.first))

    def _just_taken(self, seq: int) -> Taken | None:
        for taken in self.accepted:
            if taken.first_seq <= seq <= taken.letter.seq:
                return taken
        return None

    def _follow(self, letter: ReadingLetter) -> bool:
        """Take all of a letter's readings that are new, or none: only its last signature is checked."""
        skipped = self.head.next_seq - letter.first
        if skipped and letter.hash_at(skipped - 1) != self.head.hash:
            seq = self.head.next_seq - 1
            self._conflict(letter, to_hex(self.head.hash), to_hex(letter.hash_at(skipped - 1)), seq=seq)
            return False
        try:
            if skipped or not self._joins(letter):
                self._walk(letter, skipped)
        except _AtNumber as error:
            refusal = error.refusal
            self.refused.append(refused(letter, code=refusal.code, detail=refusal.detail, seq=error.seq))
            return False
        self.head = Head(letter.hash_at(letter.count - 1), letter.gist.head)
        self.accepted.append(Taken(letter=letter, skipped=skipped))
        return True

    def _joins(self, letter: ReadingLetter) -> bool:
        """Return whether a letter's ends show that all of it may follow; where not, `_walk` finds out why."""
        gist = letter.gist
        try:
            self._check(self.head, gist.first, received_at=letter.received_at)
            if letter.count == 1:
                return True
            check_since_start(
                self.terms, gist.head, received_at=letter.received_at, slack_seconds=self._slack_seconds
            )
        except ReadingRefused:
            return False
        paces = gist.paces
        return paces is not None and all(map(le, paces, self.terms.counter_caps))

    def _walk(self, letter: ReadingLetter, skipped: int) -> None:
        """Check a letter's readings one by one. Raises _AtNumber at the first that breaks a rule."""
        head = self.head
        for place, reading in enumerate(letter.readings()[skipped:], start=skipped):
            try:
                self._check(head, reading, received_at=letter.received_at)
            except ReadingRefused as error:
                raise _AtNumber(reading.seq, error) from error
            head = Head(letter.hash_at(place), reading)

    def _check(self, head: Head, reading: Measured, *, received_at: datetime) -> None:
        check_follows(head.last, reading, head=head.hash)
        check_rate(
            self.terms,
            last=head.last,
            reading=reading,
            received_at=received_at,
            slack_seconds=self._slack_seconds,
        )

    def _hold(self, letter: ReadingLetter, waiting: dict[int, str]) -> None:
        expected = self.head.next_seq
        if self.head.is_over:
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
        while first_waiting is not None and (self.head.is_over or first_waiting <= self.head.next_seq):
            rows = self._store.waiting(self._rental_id, from_seq=first_waiting, limit=WAITING_PAGE)
            first_waiting = None
            for row in rows:
                if row.seq > self.head.next_seq and not self.head.is_over:
                    return row.seq
                self.reached = row.seq
                self._take_waiting(row, known)
                first_waiting = row.seq + 1
            if len(rows) < WAITING_PAGE:
                return None
        return first_waiting

    def _take_waiting(self, row: WaitingReading, known: dict[int, str]) -> None:
        letter = self._letter_of(row)
        if letter.seq < self.head.next_seq:
            self._compare(letter, known)
        elif letter.first > self.head.next_seq:
            self._hold(letter, {})
        elif self._follow(letter):
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
        taken = self._just_taken(seq)
        if taken is not None:
            return taken.wires[seq - taken.first_seq]
        return self._store.accepted_reading(self._rental_id, seq)

    def _letter_of(self, row: WaitingReading) -> ReadingLetter:
        is_one = _is_one(row.signed)
        incoming = Incoming(
            topic=topic_of(self.terms.device, "readings" if is_one else "batches"),
            payload=json.dumps(row.signed).encode(),
            received_at=row.received_at,
        )
        batch = ReadingBatch.model_validate({"readings": [row.signed]} if is_one else row.signed)
        # Its signature was checked before it was left to wait.
        run = ReadingRun(
            domain=self.terms.domain,
            rental_id=self.terms.rental_id,
            readings=tuple(measured(signed.reading) for signed in batch.readings),
            hashes=tuple(hash_struct(signed.reading) for signed in batch.readings),
            signer=self.terms.meter,
        )
        document = batch.readings[0].model_dump_json() if is_one else batch.model_dump_json()
        return letter_of_run(incoming, run, document=document, slack_seconds=self._slack_seconds)


class _AtNumber(Exception):
    """A reading of a letter breaks a rule."""

    def __init__(self, seq: int, refusal: ReadingRefused) -> None:
        super().__init__(str(refusal))
        self.seq, self.refusal = seq, refusal


def _is_one(document: dict[str, Any]) -> bool:
    return "reading" in document
