"""The broker's accounts as one keeper of a broker's door knows them: read in full once, then what changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from services.chassis.database import Database
from services.metering.access_store import AccessStore


class Change(IntEnum):
    """What became of the accounts; the higher one counts where there were several."""

    NONE = 0
    ADDED = 1
    REMOVED = 2


@dataclass(frozen=True, slots=True)
class Account:
    """Of a password what is kept, and until when it is good."""

    password_hash: str
    expires_at: datetime


class Accounts:
    """Who may enter now, by name."""

    def __init__(self) -> None:
        self._held: dict[str, Account] = {}
        self._seen = -1

    def __iter__(self) -> Iterator[tuple[str, Account]]:
        return iter(self._held.items())

    def __len__(self) -> int:
        return len(self._held)

    def get(self, username: str) -> Account | None:
        """Return an account, if there is one."""
        return self._held.get(username)

    def refresh(self, database: Database, *, now: datetime) -> Change:
        """Learn what changed since the last time, and forget what is over; return what that comes to."""
        return max(self._learn(database), self._forget(now))

    def _learn(self, database: Database) -> Change:
        # What changes between the two is learnt now and again at the next look.
        with database.looks() as session:
            store = AccessStore(session)
            last = store.last_change()
            if last == self._seen:
                return Change.NONE
            # Another database than before, restored or new: nothing of what was known is sure.
            known = {} if last < self._seen else dict(self._held)
            changes = store.changed_after(-1 if last < self._seen else self._seen)
        change = Change.REMOVED if last < self._seen else Change.NONE
        for held in changes:
            if held.password_hash is not None and held.expires_at is not None:
                known[held.username] = Account(held.password_hash, held.expires_at)
                change = max(change, Change.ADDED)
            elif known.pop(held.username, None) is not None:
                change = Change.REMOVED
        # Put in place whole: another thread may be looking.
        self._held, self._seen = known, last
        return change

    def _forget(self, now: datetime) -> Change:
        over = [username for username, account in self._held.items() if account.expires_at <= now]
        if not over:
            return Change.NONE
        known = dict(self._held)
        for username in over:
            del known[username]
        self._held = known
        return Change.ADDED  # nobody is in a hurry: it had its time
