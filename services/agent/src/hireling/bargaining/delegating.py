"""What a delegate wants: its owner's wishes, with everything outside the owner's bounds barred. Pure."""

from collections.abc import Iterable
from datetime import timedelta, timezone

from hireling.bargaining.wishes import OwnerWishes, Preferences
from hireling.rental.appointment import DelegateBounds
from hireling.rental.table import Table

TENTHS = 10


def delegates_preferences(
    bounds: DelegateBounds, table: Table, taken: frozenset[int] = frozenset()
) -> Preferences:
    """Return what the delegate wants on this table; ``taken`` as for OwnerWishes.preferences.

    Raises ValueError where no value of an issue is within the bounds.
    """
    wishes, agenda = bounds.wishes, table.listing.agenda
    owner = OwnerWishes(
        prefer=wishes.prefer,
        shortest_percent=wishes.shortest_percent,
        least_deposit_percent=wishes.least_deposit_percent,
        walk_away_percent=wishes.walk_away_percent,
        weights={str(name): tenths / TENTHS for name, tenths in wishes.weight_tenths.items()},
    )
    prices = (table.terms((place, 0, 0, 0, 0)).tariff for place in range(len(agenda.price)))
    seconds = (table.terms((0, place, 0, 0, 0)).seconds for place in range(len(agenda.duration)))
    deposits = (table.terms((0, 0, 0, place, 0)).deposit for place in range(len(agenda.deposit)))
    barred = {
        "price": _outside(map(bounds.covers_price, prices)),
        "duration": _outside(map(bounds.covers_seconds, seconds)),
        "deposit": _outside(map(bounds.covers_deposit, deposits)),
    }
    zone = timezone(timedelta(minutes=wishes.utc_offset_minutes))
    return owner.preferences(agenda, start=table.start, zone=zone, taken=taken, barred=barred)


def _outside(covered: Iterable[bool]) -> frozenset[int]:
    return frozenset(place for place, inside in enumerate(covered) if not inside)
