"""The words for a decision about the price."""

from collections.abc import Callable, Iterator

from hireling.pricing.deciding import Parts, Record

Say = Callable[[int], str]


def reason_for(record: Record, say: Say) -> str:
    """Return why a price was left or changed, in a line; ``say`` writes a price as people read it."""
    return ". ".join([f"{record.rule}", *(_because(record, record.parts, say) if record.parts else ())])


def _because(record: Record, parts: Parts, say: Say) -> Iterator[str]:
    asked = f"{parts.usual:.2g} questions an idle hour are usual in the time ahead"
    yield f"{asked}, and in the last day it was {parts.recent:.2g} times that"
    yield (
        f"At {say(record.price)} it should be in use {parts.used_now:.0%} of the time,"
        f" at {say(parts.best)}, the best, {parts.used_best:.0%}{_gain(parts)}"
    )


def _gain(parts: Parts) -> str:
    if parts.earns_now <= 0:
        return ""
    return f", which earns {parts.earns_best / parts.earns_now - 1:+.0%}"
