"""The base of every service: what each instance finds on itself, and the calls that all of them answer."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from services.chassis.clock import Clock
from services.chassis.concurrency import let_others
from services.chassis.database import Database
from services.chassis.entrypoints import rpc, timer
from services.chassis.forgetting import KeepingSettings, forget_events
from services.chassis.health import health_of
from services.chassis.inbox import heard_by
from services.chassis.observing import WorkObserver
from services.chassis.people import Held, erase, read_out
from services.chassis.providers import ClockProvider, DatabaseProvider, Lasting, RemoteProvider
from services.chassis.relay import OutboxRelay
from services.chassis.rpc import RpcClient
from services.messages.people import Person

FORGETS_EVERY_SECONDS = 600.0


class Service:
    """Subclass it, set ``name`` to the folder's name, and mark methods with `rpc`, `on_event` and `timer`."""

    name: str
    # Its tables with rows of persons, in the order in which they may be erased.
    personal: Sequence[Held] = ()

    database: Database = DatabaseProvider()
    remote: RpcClient = RemoteProvider()
    clock: Clock = ClockProvider()
    keeping: KeepingSettings = Lasting(KeepingSettings)
    relay = OutboxRelay()
    observer = WorkObserver()

    @rpc
    def health(self) -> dict[str, Any]:
        """Return the service's name, whether its database answers, and how many events have not left yet."""
        return health_of(self.name, self.database)

    @rpc
    def queues(self) -> list[str]:
        """Return the queues from which this service hears events."""
        return heard_by(type(self), name=self.name)

    @rpc
    def personal_data(self, person: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what this service holds of a person, table by table."""
        who = Person.model_validate(person, strict=False)
        with self.database.snapshot() as session:
            return [held.model_dump(mode="json") for held in read_out(session, self.personal, who)]

    @rpc
    def erase_personal_data(self, person: dict[str, Any]) -> list[dict[str, Any]]:
        """Delete what may go of a person, and return what went and what stays, and why.

        Again changes nothing more. Raises Conflict while something of this person runs.
        """
        who = Person.model_validate(person, strict=False)
        with self.database.unit_of_work() as session:
            self.require_erasable(session, who)
            erased = erase(session, self.personal, who, now=self.clock.now())
        return [done.model_dump(mode="json") for done in erased]

    @timer(interval=FORGETS_EVERY_SECONDS)
    def forget_events(self) -> None:
        """Delete what was told and heard long ago."""
        forget_events(
            self.database,
            self.keeping,
            service=self.name,
            now=self.clock.now(),
            pause=let_others,
        )

    def require_erasable(self, session: Session, person: Person) -> None:
        """Raise Conflict while something of this person runs here; a service that runs nothing never does."""
