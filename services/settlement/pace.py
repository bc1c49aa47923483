"""When to look at the chain again, and when there may be bills to issue.

At once where something was queued in this process; at each new block while a transaction of ours is under
way; else now and then, since other copies queue too and others' transactions have logs.
"""

from collections.abc import Callable
from time import monotonic

from services.chassis.concurrency import GreenFlag
from services.settlement.escrow.node import Block

SELDOM_SECONDS = 0.5
# The node is asked for its newest block's number alone, which costs a twentieth of what following it does.
OFTEN_SECONDS = 0.1
# Under one newest block the chain says the same, but an operator may have it read anew.
ANEW_SECONDS = 2.0
BILLS_SELDOM_SECONDS = 1.0


class Pace:
    """One process's waits between two looks, which others may cut short."""

    def __init__(self) -> None:
        self._news = GreenFlag()
        self._paid = GreenFlag()
        self._followed: Block | None = None
        self._followed_at = 0.0
        self._is_waiting = False

    def hurry(self) -> None:
        """Have the chain looked at now: something waits to be sent."""
        self._news.set()

    def is_news(self, head: Block) -> bool:
        """Return whether the chain may say something new under this newest block."""
        return head != self._followed or monotonic() >= self._followed_at + ANEW_SECONDS

    def note_followed(self, head: Block | None) -> None:
        """Note that all was read that there is under this newest block; None where more is left."""
        self._followed, self._followed_at = head, monotonic()

    def note_waiting(self, *, is_waiting: bool) -> None:
        """Note whether the chain has still to say what became of something that was sent."""
        self._is_waiting = is_waiting

    def note_paid(self) -> None:
        """Have bills issued now: the chain may have paid a rental out."""
        self._paid.set()

    def wait_for_news(self, height: Callable[[], int | None]) -> None:
        """Wait until the chain is worth a look; ``height`` is the newest block's, None where unknown."""
        until = monotonic() + SELDOM_SECONDS
        while (left := until - monotonic()) > 0:
            if self._news.wait(min(left, OFTEN_SECONDS) if self._is_waiting else left):
                break
            if self._is_waiting and self._has_grown(height()):
                break
        self._news.clear()

    def _has_grown(self, height: int | None) -> bool:
        return height is not None and (self._followed is None or height != self._followed.number)

    def wait_for_bills(self) -> None:
        """Wait until a rental may have been paid out."""
        self._paid.wait(BILLS_SELDOM_SECONDS)
        self._paid.clear()
