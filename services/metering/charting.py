"""A rental's use over time, a step after the other, for charts at any interval.

Steps of whole minutes come from the roll-ups and what is not rolled up yet, finer ones from the readings
themselves. Which moment a reading belongs to says `services.metering.runs.taken_ms`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from services.chassis.database import Database
from services.messages.errors import Conflict, Invalid
from services.messages.metering import SeriesQuery, UsageStep
from services.messages.page import Page
from services.metering.models import Rental
from services.metering.runs import clock_bounds, readings_in, taken_ms
from services.metering.usage_store import HOUR, MINUTE, RENTALS_AT_ONCE, Slot, UsageStore


def series(store: UsageStore, rental: Rental, query: SeriesQuery) -> dict[str, Any]:
    """Return a page of UsageStep as JSON; ``next`` is the ``begin`` of the page that follows.

    Steps begin at the query's ``begin``, rounded down to a whole minute where they are not shorter than one,
    and follow each other until one reaches its ``end``. Those without readings are left out.

    Raises Invalid, and Conflict where steps are finer than what is still kept.
    """
    begin, end, step = query.begin, query.end, query.step
    if step > MINUTE and step % MINUTE:
        raise Invalid("step_not_whole_minutes", f"{step} s is more than a minute and not whole minutes")
    if step >= MINUTE:
        begin -= begin % MINUTE
    end = begin + max(0, -((begin - end) // step)) * step
    width = HOUR if begin % HOUR == 0 == step % HOUR else MINUTE
    slots: list[Slot] = []
    following = _step_with_use(store, rental, begin=begin, end=end, step=step, width=width)
    while following is not None and not slots:
        begin = following
        stop = begin + min(query.limit, (end - begin) // step) * step
        if step < MINUTE:
            slots = _fold(_moments(store, rental, begin=begin, end=stop), begin=begin, step=step)
        else:
            slots = store.steps(rental, begin=begin, end=stop, step=step, width=width)
        following = _step_with_use(store, rental, begin=stop, end=end, step=step, width=width)
    items = tuple(_shown(slot, begin=begin, step=step) for slot in slots)
    more = None if following is None else str(following)
    return Page[UsageStep](items=items, next=more).model_dump(mode="json")


def roll_up(database: Database, *, pause: Callable[[], None]) -> None:
    """Put every reading that is in no bucket yet into its minute and hour, some in each transaction.

    Where other processes do the same, one of them does it. `pause` is called between transactions.
    """
    while True:
        with database.looks() as session:
            if not UsageStore(session).has_unrolled():
                return
        with database.queue_work() as session:
            if UsageStore(session).roll_up() < RENTALS_AT_ONCE:
                return  # The others wait for the next time, so that a little is not rolled up for ever.
        pause()


def _step_with_use(
    store: UsageStore, rental: Rental, *, begin: int, end: int, step: int, width: int
) -> int | None:
    """Return where the first step from `begin` on with readings begins, or None where none is before `end`.

    Of steps finer than a minute, the first one in a minute that has readings.
    """
    low = begin - begin % width
    start = store.first_start(rental, begin=low, end=end, width=width)
    return None if start is None or begin >= end else begin + max(0, start - begin) // step * step


def _moments(
    store: UsageStore, rental: Rental, *, begin: int, end: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the readings between two moments, and when each was taken, by number. Raises Conflict."""
    numbers = store.numbers(rental, begin=begin - begin % MINUTE, end=end)
    if numbers is None:
        return
    expected, last_seq = numbers
    for received_at, document in store.documents(rental.rental_id, *numbers):
        arrived_ms, earliest_ms = clock_bounds(start_at=rental.start_at, received_at=received_at)
        for signed in readings_in(document):
            reading, sample = signed["reading"], signed["reading"]["sample"]
            if not expected <= int(reading["seq"]) <= last_seq:
                continue
            expected += 1
            moment = taken_ms(
                int(sample["wall_ms"]), int(sample["clock"]), arrived_ms=arrived_ms, earliest_ms=earliest_ms
            )
            if begin <= moment // 1_000 < end:
                yield moment // 1_000, reading
    if expected <= last_seq:
        detail = f"readings from {expected} to {last_seq} are no longer kept, their minutes and hours are"
        raise Conflict("readings_dropped", detail, finest_step=MINUTE)


def _fold(moments: Iterator[tuple[int, dict[str, Any]]], *, begin: int, step: int) -> list[Slot]:
    # No more than two readings of a step are kept: a page of steps may hold a million.
    found: dict[int, tuple[int, dict[str, Any], dict[str, Any]]] = {}
    for moment, reading in moments:
        number = (moment - begin) // step
        count, first, _ = found.get(number, (0, reading, reading))
        found[number] = count + 1, first, reading
    return [_slot(number, *found[number]) for number in sorted(found)]


def _slot(number: int, readings: int, first: dict[str, Any], last: dict[str, Any]) -> Slot:
    return Slot(
        number=number,
        readings=readings,
        first_seq=int(first["seq"]),
        last_seq=int(last["seq"]),
        first_amount=first["amount_due"],
        first_counters=tuple(first["sample"]["counters"]),
        last_amount=last["amount_due"],
        last_counters=tuple(last["sample"]["counters"]),
    )


def _shown(slot: Slot, *, begin: int, step: int) -> UsageStep:
    start = begin + slot.number * step
    return UsageStep.model_validate(
        {
            "start": start,
            "end": start + step,
            "readings": slot.readings,
            "first": {
                "seq": slot.first_seq,
                "amount_due": slot.first_amount,
                "counters": slot.first_counters,
            },
            "last": {"seq": slot.last_seq, "amount_due": slot.last_amount, "counters": slot.last_counters},
        }
    )
