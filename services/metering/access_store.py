"""The only queries about the broker's accounts. None of them commits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, delete, func, select, update

from hireling.rental.broker_users import BARGAINERS
from services.metering.models import BrokerAccount, BrokerChange

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True, slots=True)
class Held:
    """What an account's last change left: None where nobody is let in."""

    username: str
    password_hash: str | None
    expires_at: datetime | None


class AccessStore:
    """Every question and change of one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def lock(self, username: str, *, device: str) -> BrokerAccount:
        """Return an account, made where there is none, kept from other writers until this ends."""
        insert = _INSERTS[self.session.get_bind().dialect.name](BrokerAccount)
        self.session.execute(
            insert.values(username=username, device=device, asked_ms=0, change=0).on_conflict_do_nothing()
        )
        query = select(BrokerAccount).where(BrokerAccount.username == username).with_for_update()
        return self.session.exec(query).one()

    def lock_all(self, usernames: Collection[str]) -> Sequence[BrokerAccount]:
        """Return those of these accounts that there are, kept from other writers until this ends."""
        query = select(BrokerAccount).where(col(BrokerAccount.username).in_(usernames))
        # One order for all, so that two writers never wait for each other.
        return self.session.exec(query.order_by(col(BrokerAccount.username)).with_for_update()).all()

    def find(self, username: str) -> BrokerAccount | None:
        """Return an account, if there is one."""
        return self.session.get(BrokerAccount, username)

    def note_change(self, account: BrokerAccount) -> None:
        """Number this change of an account.

        The number's lock is held until the commit, so that whoever sees a number sees all changes up to it.
        """
        counted = update(BrokerChange).values(number=col(BrokerChange.number) + 1)
        account.change = self.session.execute(counted.returning(col(BrokerChange.number))).scalar_one()
        self.session.flush()

    def last_change(self) -> int:
        """Return the number of the last change."""
        return self.session.exec(select(BrokerChange.number)).one()

    def changed_after(self, number: int) -> Sequence[Held]:
        """Return every account that changed since."""
        query = select(BrokerAccount.username, BrokerAccount.password_hash, BrokerAccount.expires_at).where(
            col(BrokerAccount.change) > number
        )
        return [Held(*row) for row in self.session.exec(query)]

    def standing_bargainers(self, *, now: datetime) -> int:
        """Return how many agents that came for a session may enter."""
        query = select(func.count()).where(
            col(BrokerAccount.username).startswith(BARGAINERS), col(BrokerAccount.expires_at) > now
        )
        return self.session.exec(query).one()

    def forget_bargainers(self, *, before: datetime) -> None:
        """Forget the agents that came for a session and whose time was over before this moment.

        Whoever follows the accounts has forgotten them by then, for they end by themselves.
        """
        old = delete(BrokerAccount).where(
            col(BrokerAccount.username).startswith(BARGAINERS), col(BrokerAccount.expires_at) < before
        )
        self.session.execute(old)

    def admit(self, accounts: Collection[BrokerAccount]) -> None:
        """Add many new accounts at once, as one change."""
        counted = update(BrokerChange).values(number=col(BrokerChange.number) + 1)
        number = self.session.execute(counted.returning(col(BrokerChange.number))).scalar_one()
        for account in accounts:
            account.change = number
        self.session.add_all(accounts)
