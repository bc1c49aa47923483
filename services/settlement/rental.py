"""Where a rental goes next: what readings, the chain and time mean in each state.

Pure; the table is hireling.rental.states.

What means nothing in a state changes nothing: messages come late, twice, and after the chain has already
spoken.
"""

from collections.abc import Iterable

from hireling.rental.reading import Reading, ReadingEvent
from hireling.rental.states import TRANSITIONS, State, Trigger

BEFORE_USE = frozenset({State.AGREED, State.FUNDED, State.ARMED})

# What a confirmed log of the escrow means, the most telling first; the first that the state knows counts.
LOG_TRIGGERS: dict[str, tuple[Trigger, ...]] = {
    "Opened": (Trigger.DEPOSIT_CONFIRMED,),
    "Disputed": (Trigger.DISPUTE_RAISED,),
    "Closed": (Trigger.CLOSE_CONFIRMED, Trigger.ESCROW_EMPTIED),
    "Settled": (Trigger.SETTLEMENT_CONFIRMED, Trigger.ESCROW_EMPTIED),
    "Ruled": (Trigger.RULING_CONFIRMED, Trigger.ESCROW_EMPTIED),
}


def path(state: State, triggers: Iterable[Trigger]) -> tuple[State, ...]:
    """Return the states entered, in order, when these triggers happen one after the other."""
    entered: list[State] = []
    for trigger in triggers:
        following = TRANSITIONS.get((entered[-1] if entered else state, trigger))
        if following is not None:
            entered.append(following)
    return tuple(entered)


def after_reading(state: State, reading: Reading | None) -> tuple[State, ...]:
    """Return the states entered when ``reading`` is the last one that counts: the same again enters none."""
    if reading is None:
        return ()
    triggers = [Trigger.BEGIN_READING]
    if reading.last:
        triggers.append(Trigger.LAST_READING)
    elif reading.sample.event == ReadingEvent.SUSPEND:
        triggers.append(Trigger.SUSPEND_READING)
    else:
        triggers.append(Trigger.RESUME_READING)
    return path(state, triggers)


def after_refusal(state: State, reading: Reading | None) -> tuple[State, ...]:
    """Return the states entered when a reading is refused for good.

    The rental ends at ``reading``, the last good one.
    """
    if reading is None:
        return path(state, [Trigger.NEVER_STARTED])
    return (
        *after_reading(state, reading),
        *path(_last(state, after_reading(state, reading)), [Trigger.LAST_READING]),
    )


def after_log(state: State, name: str) -> tuple[State, ...]:
    """Return the states entered when the escrow's log of this name is confirmed."""
    for trigger in LOG_TRIGGERS.get(name, ()):
        entered = path(state, [trigger])
        if entered:
            return entered
    return ()


def _last(state: State, entered: tuple[State, ...]) -> State:
    return entered[-1] if entered else state
