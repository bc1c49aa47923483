"""Sessions as they were last read or written, so that a move need not read all offers before it again.

A session's documents never change, nor do its committed offers: new ones come after them. So a remembered
session is good as far as it goes: whoever takes it compares how many offers the database has, reads those
that came after, and takes everything that does change (status, deadline, signatures) from there.
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.negotiation.session import QuoteSession

# Of nine offers each they take some 25 MB.
MOST_SESSIONS = 512


class Remembered:
    """The sessions used last, of one database."""

    def __init__(self, most: int = MOST_SESSIONS) -> None:
        self._most = most
        self._sessions: OrderedDict[str, QuoteSession] = OrderedDict()

    def find(self, quote_id: str) -> QuoteSession | None:
        """Return the session as it was at some time, if it is remembered."""
        found = self._sessions.get(quote_id)
        if found is not None:
            self._sessions.move_to_end(quote_id)
        return found

    def note(self, sessions: Iterable[QuoteSession]) -> None:
        """Remember sessions as they are committed, and forget those not used for longest."""
        for each in sessions:
            self._sessions[each.quote_id] = each
            self._sessions.move_to_end(each.quote_id)
        while len(self._sessions) > self._most:
            self._sessions.popitem(last=False)
