"""The queries about flags and how far readings are judged. None of them commits."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, or_
from sqlmodel import Session, col, select

from services.metering.models import FlagRow, PatternRow, Rental, WatchRow

# The watch first: whoever judges holds it, and adds patterns until then.
_FORGET = [
    delete(table).where(table.c.rental_id.in_(bindparam("over", expanding=True)))
    for table in (WatchRow.metadata.tables["watch"], PatternRow.metadata.tables["pattern"])
]


class FlagStore:
    """Every question and change of one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def begin(self, watch: WatchRow) -> None:
        """Have a rental's readings judged from now on."""
        self.session.add(watch)

    def due(self, *, readings: int, unjudged_since: datetime, limit: int) -> Sequence[str]:
        """Return rentals with so many readings to be judged, or some that wait since this moment."""
        query = (
            select(WatchRow.rental_id)
            .join(Rental, col(Rental.rental_id) == WatchRow.rental_id)
            .where(
                or_(
                    col(Rental.next_seq) >= col(WatchRow.next_seq) + readings,
                    and_(
                        col(Rental.next_seq) > col(WatchRow.next_seq),
                        col(WatchRow.judged_at) <= unjudged_since,
                    ),
                )
            )
            .order_by(col(WatchRow.judged_at))
            .limit(limit)
        )
        return self.session.exec(query).all()

    def watch(self, rental_id: str) -> WatchRow | None:
        """Return how far a rental is judged, kept from other writers until this transaction ends."""
        query = select(WatchRow).where(WatchRow.rental_id == rental_id).with_for_update()
        return self.session.exec(query).first()

    def end(self, rental_ids: Collection[str]) -> None:
        """Forget what is remembered of rentals that are over, but their flags."""
        self.session.flush()
        for forget in _FORGET:
            self.session.connection().execute(forget, {"over": list(rental_ids)})

    def device_of(self, rental_id: str) -> str:
        """Return the device of a rental, which must be known."""
        return self.session.exec(select(Rental.device).where(Rental.rental_id == rental_id)).one()

    def patterns(self, rental_id: str, hashes: Collection[int]) -> dict[int, int]:
        """Return the lowest number at which each of these patterns of growth ended, if it did."""
        if not hashes:
            return {}
        query = (
            select(PatternRow.hash, func.min(PatternRow.seq))
            .where(PatternRow.rental_id == rental_id, col(PatternRow.hash).in_(hashes))
            .group_by(col(PatternRow.hash))
        )
        return {int(hashed): int(seq) for hashed, seq in self.session.exec(query)}

    def add(self, rows: Sequence[PatternRow | FlagRow]) -> None:
        """Add patterns or flags."""
        self.session.add_all(rows)

    def flags(self, rental_id: str) -> Sequence[FlagRow]:
        """Return a rental's flags, ascending."""
        query = select(FlagRow).where(FlagRow.rental_id == rental_id)
        return self.session.exec(query.order_by(col(FlagRow.seq), col(FlagRow.code))).all()

    def uncleared(self, rental_id: str) -> Sequence[FlagRow]:
        """Return a rental's flags that nobody cleared, kept from other writers until it is over."""
        query = select(FlagRow).where(FlagRow.rental_id == rental_id, col(FlagRow.cleared_at).is_(None))
        return self.session.exec(query.order_by(col(FlagRow.seq)).with_for_update()).all()
