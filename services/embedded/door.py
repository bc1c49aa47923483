"""Who may enter the embedded broker, and what they may say and hear there."""

from collections.abc import Mapping
from typing import Protocol

from hireling.rental.broker_users import user_of
from services.metering.access import fits
from services.metering.accounts import Accounts


class Door(Protocol):
    """What the broker asks before it does anything for a client."""

    def admit(self, username: str | None, password: str | None) -> str | None:
        """Return by what the client is let in, or None: it stays outside."""
        ...

    def still_admits(self, username: str, by: str) -> bool:
        """Return whether who was let in by this would be let in by it now."""
        ...

    def may_say(self, username: str, topic: str) -> bool:
        """Return whether the user may publish on this topic."""
        ...

    def may_hear(self, username: str, topic: str) -> bool:
        """Return whether a message on this topic may reach the user."""
        ...

    def may_ask_for(self, username: str, topic_filter: str) -> bool:
        """Return whether the user may subscribe to this filter."""
        ...


class RuledDoor:
    """Lets in the platform's own processes, and whom metering gave an account, each to its own topics."""

    def __init__(self, own: Mapping[str, str], accounts: Accounts) -> None:
        """`own` holds what is kept of the own users' passwords, by name."""
        self._own = own
        self._accounts = accounts

    def admit(self, username: str | None, password: str | None) -> str | None:
        """Return what is kept of the password, if it is the user's."""
        if username is None or password is None or user_of(username) is None:
            return None
        kept = self._kept(username)
        return kept if kept is not None and fits(password, kept) else None

    def still_admits(self, username: str, by: str) -> bool:
        """Return whether the user still has this password."""
        return self._kept(username) == by

    def may_say(self, username: str, topic: str) -> bool:
        """Return what the table of topics says."""
        user = user_of(username)
        return user is not None and user.may_say(topic)

    def may_hear(self, username: str, topic: str) -> bool:
        """Return what the table of topics says."""
        user = user_of(username)
        return user is not None and user.may_hear(topic)

    def may_ask_for(self, username: str, topic_filter: str) -> bool:
        """Return what the table of topics says."""
        user = user_of(username)
        return user is not None and user.may_ask_for(topic_filter)

    def _kept(self, username: str) -> str | None:
        account = self._accounts.get(username)
        return self._own.get(username) or (account.password_hash if account is not None else None)
