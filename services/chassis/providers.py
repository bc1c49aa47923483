"""What Nameko puts on a service's instance for each call.

Its database, the other services, and a clock.
"""

from collections.abc import Callable
from typing import Any

from eventlet.semaphore import Semaphore
from nameko.extensions import DependencyProvider, SharedExtension

from services.chassis.assembly import assembly_of
from services.chassis.clock import Clock
from services.chassis.database import Database, open_database
from services.chassis.rpc import RpcClient


class SharedDatabase(SharedExtension):
    """The one open database of a container, for everything in it that needs rows."""

    def __init__(self) -> None:
        self._database: Database | None = None

    def setup(self) -> None:
        """Open the database before anything uses it."""
        self.opened()

    def opened(self) -> Database:
        """Return the open database.

        A method, because Nameko evaluates the properties of an extension while binding it.
        """
        if self._database is None:
            url = assembly_of(self.container).database_url(self.container.service_name)
            self._database = open_database(url, write_lock=Semaphore(1))
        return self._database

    def stop(self) -> None:
        """Close the database after the last worker."""
        self.opened().close()


class DatabaseProvider(DependencyProvider):
    """Gives a service its `Database`."""

    shared = SharedDatabase()

    def get_dependency(self, worker_ctx: Any) -> Database:
        """Return the service's database."""
        database: Database = self.shared.opened()
        return database


class Lasting(DependencyProvider):
    """Gives a service one object that lasts as long as the service runs in this process."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def setup(self) -> None:
        """Make it before the first worker."""
        self._made = self._make()

    def get_dependency(self, worker_ctx: Any) -> object:
        """Return it."""
        return self._made


class RemoteProvider(DependencyProvider):
    """Gives a service the client through which it calls the others."""

    def get_dependency(self, worker_ctx: Any) -> RpcClient:
        """Return the process's RPC client."""
        return assembly_of(self.container).rpc


class ClockProvider(DependencyProvider):
    """Gives a service its clock."""

    def get_dependency(self, worker_ctx: Any) -> Clock:
        """Return the process's clock."""
        return assembly_of(self.container).clock
