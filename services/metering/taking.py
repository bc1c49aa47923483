"""Rows from signed objects, shared by ingest and the service.

Terms of an agreement, readings, ceilings, refusals.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.batch import batch_wire
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.typed_data import Domain, from_hex, to_hex
from services.chassis.outbox import add_event
from services.chassis.rows import WrittenJson
from services.messages.events.metering import CeilingAccepted
from services.metering.ceilings import is_higher
from services.metering.models import AcceptedCeiling, Rental
from services.metering.runs import HASH_BYTES, Run, clock_bounds, minutes_of, readings_in
from services.metering.store import Store
from services.metering.usage import Terms
from services.metering.wire import ReadingLetter, Refused


def rental_row(signed: SignedAgreement, *, now: datetime) -> Rental:
    """Return what metering keeps of an agreement."""
    pay, rules = signed.agreement.pay, signed.agreement.rules
    return Rental(
        rental_id=to_hex(signed.rental_id),
        device=to_hex(rules.detail.device),
        meter=to_hex(pay.meter),
        renter_agent=to_hex(pay.renter_agent),
        chain_id=signed.domain.chain_id,
        escrow=to_hex(signed.domain.escrow),
        counter_caps=[counter.max_per_second for counter in signed.offer.tariff.counters],
        start_at=pay.start_at,
        end_by=rules.end_by,
        max_total=str(pay.max_total),
        agreed_at=now,
        oldest_at=now,
        newest_at=now,
    )


def terms_of(row: Rental) -> Terms:
    """Return a rental's terms as the rules take them."""
    return Terms(
        rental_id=from_hex(row.rental_id),
        device=row.device,
        meter=from_hex(row.meter),
        renter_agent=from_hex(row.renter_agent),
        domain=Domain(chain_id=row.chain_id, escrow=from_hex(row.escrow)),
        counter_caps=tuple(row.counter_caps),
        start_at=row.start_at,
        max_total=int(row.max_total),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """Readings that count from now on: a letter's, but for those that counted before."""

    letter: ReadingLetter
    skipped: int

    @property
    def first_seq(self) -> int:
        """Return the number of the first one."""
        return self.letter.first + self.skipped

    @property
    def count(self) -> int:
        """Return how many there are."""
        return self.letter.count - self.skipped

    @property
    def hashes(self) -> bytes:
        """Return their hashes, one after the other."""
        return self.letter.gist.hashes[HASH_BYTES * self.skipped :]

    @property
    def body(self) -> str:
        """Return them as they stand in a batch: each with its own signature."""
        if not self.skipped:
            return self.letter.body
        return ",".join(json.dumps(wire, separators=(",", ":")) for wire in self.wires)

    @property
    def wires(self) -> list[dict[str, Any]]:
        """Return them as they travelled."""
        return readings_in(batch_wire([self.letter.body]))[self.skipped :]


def run_row(rental_id: str, taken: Sequence[Taken], *, start_at: int) -> Run:
    """Return readings that follow each other, and arrived on one day, as they are stored."""
    received_at = max(one.letter.received_at for one in taken)
    return Run(
        rental_id,
        taken[0].first_seq,
        taken[-1].letter.seq,
        received_at,
        b"".join([one.hashes for one in taken]),
        batch_wire([one.body for one in taken]),
        _minutes(taken, start_at=start_at, received_at=received_at),
    )


def _minutes(taken: Sequence[Taken], *, start_at: int, received_at: datetime) -> str:
    gist = taken[0].letter.gist
    if len(taken) == 1 and not taken[0].skipped and gist.minutes:
        _, earliest_ms = clock_bounds(start_at=start_at, received_at=received_at)
        if gist.oldest_ms >= earliest_ms:
            return gist.minutes
    readings = [reading for one in taken for reading in one.letter.readings()[one.skipped :]]
    return minutes_of(readings, start_at=start_at, received_at=received_at)


def waiting_row(letter: ReadingLetter) -> dict[str, Any]:
    """Return a letter as it is stored while it waits: under its first number."""
    return {
        "rental_id": letter.rental_id,
        "seq": letter.first,
        "hash": letter.hash,
        "signed": WrittenJson(letter.document),
        "received_at": letter.received_at,
    }


def take_ceiling(store: Store, signed: SignedCeiling, *, rental_id: str, now: datetime) -> SignedCeiling:
    """Store a checked ceiling and tell of it, if it allows more; return the one that counts now.

    Raises CeilingRefused.

    The rental must be locked: ceilings are numbered.
    """
    row = store.current_ceiling(rental_id)
    current = SignedCeiling.model_validate(row.signed) if row else None
    if current is not None and not is_higher(signed.ceiling, than=current.ceiling):
        return current
    store.add_ceiling(
        AcceptedCeiling(
            rental_id=rental_id,
            number=row.number + 1 if row else 0,
            signed=signed.model_dump(mode="json"),
            received_at=now,
        )
    )
    add_event(store.session, CeilingAccepted(rental_id=signed.ceiling.rental_id, ceiling=signed), now=now)
    return signed


def keep_refusals(store: Store, refusals: Sequence[Refused], *, kept: int) -> None:
    """Store each refusal once, and no more than `kept` for a rental.

    A flood of rubbish must not fill the disk.
    """
    fresh = {one.key: one for one in refusals}
    for key in store.known_refusals(list(fresh)):
        del fresh[key]
    if not fresh:
        return
    room = dict.fromkeys({one.rental_id or "" for one in fresh.values()}, kept)
    for rental_id, stored in store.count_refusals(list(room)).items():
        room[rental_id] -= stored
    rows = []
    for one in fresh.values():
        rental_id = one.rental_id or ""
        room[rental_id] -= 1
        if room[rental_id] >= 0:
            rows.append(_refusal_row(one))
    store.add_refusals(rows)


def _refusal_row(one: Refused) -> dict[str, Any]:
    return {
        "key": one.key,
        "rental_id": one.rental_id or "",
        "device": one.device,
        "seq": None if one.seq is None else str(one.seq),
        "code": one.code,
        "detail": one.detail,
        "hash": one.hash,
        "evidence": one.evidence,
        "against": one.against,
        "at": one.at,
    }
