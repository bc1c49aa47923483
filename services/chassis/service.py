"""The base of every service: what each instance finds on itself, and the calls that all of them answer."""

from typing import Any

from services.chassis.clock import Clock
from services.chassis.database import Database
from services.chassis.entrypoints import rpc
from services.chassis.health import health_of
from services.chassis.inbox import heard_by
from services.chassis.observing import WorkObserver
from services.chassis.providers import ClockProvider, DatabaseProvider, RemoteProvider
from services.chassis.relay import OutboxRelay
from services.chassis.rpc import RpcClient


class Service:
    """Subclass it, set ``name`` to the folder's name, and mark methods with `rpc`, `on_event` and `timer`."""

    name: str

    database: Database = DatabaseProvider()
    remote: RpcClient = RemoteProvider()
    clock: Clock = ClockProvider()
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
