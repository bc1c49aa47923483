"""Takes in what others say: agreements, readings, ceilings, admitted devices.

Each may come late, twice, or before what it needs.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.errors import ReadingRefused
from hireling.rental.reading import SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.messages.errors import Refused, Unavailable
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.negotiation import Agreed
from services.settlement import progress
from services.settlement.escrow.deployment import Deployment
from services.settlement.models import DeviceRow, RefusalRow, RentalRow
from services.settlement.moves import Moves
from services.settlement.repricing import check_amount
from services.settlement.store import Store
from services.settlement.watch import REGISTERED, note_registered

# A unit of work that took as long as the chain is read anew would lose against that each time.
EARLY_AT_ONCE = 100

_log = get_logger(__name__)


def chain_moment(store: Store) -> datetime:
    """Return the time of the newest block that was read, ours before the first."""
    seen = store.last_seen()
    return store.now if seen is None else datetime.fromtimestamp(seen.time, UTC)


def take_agreement(store: Store, agreed: Agreed, deployment: Deployment) -> None:
    """Begin a rental.

    Raises Refused for one on another chain or escrow, RentalError for one that was not signed by both.
    """
    signed, rental_id = agreed.signed, to_hex(agreed.rental_id)
    if signed.domain != deployment.domain or signed.rental_id != agreed.rental_id:
        raise Refused("wrong_domain", f"rental {rental_id} is not one of this escrow")
    signed.check_signed()
    if store.find_rental(rental_id) is not None:
        return
    row = RentalRow(
        rental_id=rental_id,
        quote_id=agreed.quote_id,
        device=to_hex(signed.agreement.rules.detail.device),
        renter=to_hex(signed.agreement.rules.renter),
        signed=signed.model_dump(mode="json"),
        state=State.AGREED.value,
        entered_at=chain_moment(store),
        created_at=store.now,
        updated_at=store.now,
        claim_by=signed.agreement.claim_by,
    )
    progress.begin(store, row)


def take_readings(store: Store, rental_id: bytes, readings: Sequence[SignedReading]) -> None:
    """Count readings, in the order of their numbers, while they are priced right.

    The first that is not ends the rental at the one before. What comes before its turn is kept until then:
    several handlers at once know no order.

    Raises Unavailable where the rental is still on its way.
    """
    row = _known(store, rental_id)
    if row.money == "done":
        _log.warning("readings_too_late", rental_id=row.rental_id, seq=int(readings[-1].reading.seq))
        return
    taking = _Taking(store, row, progress.signed_of(row), at=chain_moment(store))
    for signed in sorted(readings, key=lambda each: int(each.reading.seq)):
        seq = int(signed.reading.seq)
        if row.refused_seq is None and seq > _expected(row):
            store.keep_early(row.rental_id, seq, signed.model_dump(mode="json"))
        elif row.refused_seq is None and seq == _expected(row):
            taking.take_next(signed)
    taking.take_early()


def take_early_readings(database: Database, now: Callable[[], datetime]) -> None:
    """Count the kept readings whose turn has come, some in each unit of work until none is left."""

    def take_some(rental_id: str, session: Any) -> None:
        store = Store(session, now=now())
        row = store.rental(rental_id)
        _Taking(store, row, progress.signed_of(row), at=chain_moment(store)).take_early()

    while True:
        with database.looks() as session:
            rental_ids = Store(session, now=now()).rentals_with_early()
        if not rental_ids:
            return
        for rental_id in rental_ids:
            database.work(partial(take_some, rental_id))


def take_ceiling(store: Store, rental_id: bytes, signed: SignedCeiling) -> None:
    """Keep a ceiling that allows or acknowledges more; none ever takes anything back.

    Raises Unavailable as above.
    """
    row = _known(store, rental_id)
    known = progress.ceiling_of(row)
    if known is not None:
        before, after = known.ceiling, signed.ceiling
        if after.max_claimable < before.max_claimable or after.ack_amount < before.ack_amount:
            return
    row.ceiling, row.updated_at = signed.model_dump(mode="json"), store.now


def take_device(store: Store, admitted: DeviceAdmitted, moves: Moves) -> None:
    """Have a device registered, unless the chain's registry is known to hold it."""
    device = to_hex(admitted.device)
    if store.find_device(device) is None:
        store.add(DeviceRow(device=device))
    for log in store.logs_of(device):
        if log.name == REGISTERED:
            note_registered(store, device, tx_hash=log.tx_hash)
            return
    store.queue(moves.register(admitted, now=store.now))


def _known(store: Store, rental_id: bytes) -> RentalRow:
    row = store.find_rental(to_hex(rental_id))
    if row is None:
        raise Unavailable(
            "rental_not_known_yet", f"no rental {to_hex(rental_id)} yet: its agreement is on its way"
        )
    return row


def _expected(row: RentalRow) -> int:
    return 0 if row.seq is None else row.seq + 1


class _Taking:
    """Counts one rental's readings in one unit of work."""

    def __init__(self, store: Store, row: RentalRow, signed: SignedAgreement, *, at: datetime) -> None:
        self._store = store
        self._row = row
        self._signed = signed
        self._at = at

    def take_next(self, signed: SignedReading) -> None:
        """Count the reading whose turn it is, or refuse it: from then on none counts."""
        try:
            self._count(signed)
        except ReadingRefused as error:
            _refuse(self._store, self._row, signed, error)
            self._store.forget_early(self._row.rental_id)
            progress.end_at_last_good(self._store, self._row, at=self._at)
            return
        progress.follow_reading(self._store, self._row, signed.reading, at=self._at)

    def take_early(self) -> None:
        """Take some of the kept readings whose turn has come."""
        row = self._row
        if row.refused_seq is not None:
            return
        for early in self._store.take_early(row.rental_id, _expected(row), limit=EARLY_AT_ONCE):
            if row.refused_seq is None:
                self.take_next(SignedReading.model_validate(early))

    def _count(self, signed: SignedReading) -> None:
        max_total = self._signed.agreement.pay.max_total
        check_amount(self._signed.offer.tariff, max_total=max_total, reading=signed.reading)
        self._row.seq, self._row.amount_due = int(signed.reading.seq), int(signed.reading.amount_due)
        self._row.reading = signed.model_dump(mode="json")


def _refuse(store: Store, row: RentalRow, signed: SignedReading, error: ReadingRefused) -> None:
    row.refused_seq, row.updated_at = int(signed.reading.seq), store.now
    refusal = RefusalRow(
        rental_id=row.rental_id,
        seq=row.refused_seq,
        code=error.code,
        detail=error.detail,
        evidence=signed.model_dump(mode="json"),
        at=store.now,
    )
    store.add(refusal)
    _log.warning("reading_refused", rental_id=row.rental_id, seq=row.refused_seq, code=error.code)
