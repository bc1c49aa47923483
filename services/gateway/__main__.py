"""Serve the gateway alone, with gunicorn's threads against RabbitMQ: ``python -m services.gateway``."""

import math
import signal
from typing import Any

from gunicorn.app.base import BaseApplication

from services.chassis.bus import require_trust
from services.chassis.configuring import configured
from services.chassis.database import Database, open_database
from services.chassis.garbage import collect_seldom
from services.chassis.health import require_answer
from services.chassis.leaving import Departure
from services.chassis.logging import configure_logging
from services.chassis.metrics import serve_metrics
from services.chassis.migrations import check_schema
from services.chassis.rpc import RpcClient
from services.chassis.settings import BusSettings, DatabaseSettings, DrainSettings
from services.chassis.tracing import configure_tracing
from services.gateway.app import create_app
from services.gateway.settings import GatewaySettings
from services.gateway.worker import Worker

# No call lasts longer; a live stream would, and is broken off.
STOP_WITHIN_SECONDS = 10.0
# At its end gunicorn waits for connections that nobody uses, too: they are closed before it has to be over.
KEEP_ALIVE_SECONDS = 8


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn publishes no hints
    """gunicorn, configured by our settings; each worker process makes its own connections after the fork."""

    def __init__(self, settings: GatewaySettings, bus: BusSettings) -> None:
        self._settings = settings
        self._bus = bus
        self._stop_within = min(STOP_WITHIN_SECONDS, DrainSettings().drain_seconds)
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn what our settings say."""
        settings = self._settings
        for name, value in {
            "bind": f"{settings.host}:{settings.port}",
            "worker_class": Worker,
            "workers": settings.workers,
            "threads": settings.threads,
            "graceful_timeout": math.ceil(self._stop_within) + 1,  # until it is killed
            "post_worker_init": self._let_leave,
            "timeout": 60,
            "keepalive": KEEP_ALIVE_SECONDS,
            "proc_name": "hireling-gateway",
            "control_socket_disable": True,  # one path for every instance of a user, and nobody asks it
        }.items():
            self.cfg.set(name, value)

    def _let_leave(self, worker: Any) -> None:
        """Have a worker end by itself, and say what it broke off."""
        departure = Departure(
            "gateway", still_open=lambda: [f"{worker.nr_conns} connections"], seconds=self._stop_within
        )
        departure.on_signals(lambda: worker.handle_exit(signal.SIGTERM, None))

    def load(self) -> Any:
        """Build the application in a worker process, which tells of itself."""
        configure_tracing()
        database = open_database(DatabaseSettings.of("gateway").database_url)
        serve_metrics("gateway", copies=self._settings.workers, health=lambda: _health(database))
        app = create_app(self._settings, RpcClient(self._bus.amqp_uri), database=database)
        collect_seldom()
        return app


def _health(database: Database) -> dict[str, Any]:
    """Return that our own database answers; the services tell of themselves. Raises what it raises."""
    require_answer(database)
    return {"gateway": {"service": "gateway"}}


def main() -> None:
    """Serve until SIGTERM; exit 78 where the configuration is wrong."""
    configure_logging()
    with configured():
        bus = BusSettings()
        if bus.is_memory:
            raise ValueError(
                "the in-memory bus lives in one process: set HIRELING_AMQP_URI, or run the embedded platform"
            )
        require_trust(bus.amqp_uri)
        check_schema("gateway")
        server = Server(GatewaySettings(), bus)
    server.run()


if __name__ == "__main__":
    main()
