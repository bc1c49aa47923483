"""The process that keeps Mosquitto's door: ``python -m services.metering.keeper``, one beside each broker.

It writes the accounts that metering keeps into Mosquitto's password file and has Mosquitto read it, at once
when somebody is shut out, and a second's changes together when somebody is let in: each reload checks
everybody who is connected. It may die at any moment, for the file follows from the database.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from hireling.rental.broker_users import INGEST
from services.chassis.clock import SystemClock
from services.chassis.configuring import configured
from services.chassis.database import DATABASE_DOWN, Database, open_database
from services.chassis.leaving import Departure
from services.chassis.logging import configure_logging, get_logger
from services.chassis.migrations import check_schema
from services.chassis.mqtt_settings import MqttSettings
from services.chassis.settings import DatabaseSettings
from services.metering.access import hash_of
from services.metering.accounts import Accounts, Change
from services.metering.password_file import FileStamp, tell_broker, write_passwords
from services.metering.settings import KeeperSettings

DATABASE_RETRY_SECONDS = 1.0

_log = get_logger(__name__)


class Keeper:
    """Keeps one broker's password file."""

    def __init__(
        self,
        database: Database,
        *,
        settings: KeeperSettings,
        mqtt: MqttSettings,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._settings = settings
        self._now = now
        self._accounts = Accounts()
        self._own = list(_own_account(mqtt))
        self._stamp: FileStamp | None = None
        self._pending = Change.REMOVED  # at the start nobody knows what the broker holds
        self._reload_at = 0.0

    def turn(self, *, monotonic: float) -> bool:
        """Look once, and write and tell the broker where that is due; return whether it was."""
        change = self._accounts.refresh(self._database, now=self._now())
        if FileStamp.of(self._settings.passwords) != self._stamp:
            change = Change.REMOVED  # somebody else's file, or none
        self._pending = max(self._pending, change)
        if self._pending is Change.NONE:
            return False
        if self._pending is Change.ADDED and monotonic < self._reload_at:
            return False
        self._write()
        self._pending = Change.NONE
        self._reload_at = monotonic + self._settings.reload_seconds
        return True

    def run(self, stopping: threading.Event) -> None:
        """Keep the file until told to stop."""
        while not stopping.is_set():
            pause = self._settings.poll_seconds
            try:
                self.turn(monotonic=time.monotonic())
            except DATABASE_DOWN as error:
                # Who is in stays in; nobody new comes in.
                _log.warning("database_lost", reason=str(error)[:300], retry_seconds=DATABASE_RETRY_SECONDS)
                pause = DATABASE_RETRY_SECONDS
            stopping.wait(pause)

    def _write(self) -> None:
        operators = self._settings.operators
        head = operators.read_text() if operators is not None else ""
        if head and not head.endswith("\n"):
            head += "\n"
        held = ((username, account.password_hash) for username, account in self._accounts)
        self._stamp = write_passwords(self._settings.passwords, [*self._own, *held], head=head)
        told = self._settings.pid_file is not None and tell_broker(self._settings.pid_file)
        _log.info("broker_accounts_written", accounts=len(self._accounts), broker_told=told)


def _own_account(mqtt: MqttSettings) -> Iterator[tuple[str, str]]:
    username, password = mqtt.credentials
    if username == INGEST and password:
        yield username, hash_of(password)


def main() -> None:
    """Run the process; exit 75 where it did not end in time, 78 where its configuration is wrong."""
    configure_logging()
    stopping = threading.Event()
    with configured():
        departure = Departure("keeper", still_open=lambda: ["a look at the accounts"])
        departure.on_signals(stopping.set)
        check_schema("metering")
        database = open_database(DatabaseSettings.of("metering").database_url)
        keeper = Keeper(database, settings=KeeperSettings(), mqtt=MqttSettings(), now=SystemClock().now)
    keeper.run(stopping)
    database.close()


if __name__ == "__main__":
    main()
