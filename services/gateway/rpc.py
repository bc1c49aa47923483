"""How routes reach the services: by name, with one patience, whatever the bus."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app
from pydantic import BaseModel

from services.chassis.clock import Clock
from services.chassis.database import Database
from services.chassis.rpc import RpcClient
from services.gateway.settings import GatewaySettings
from services.gateway.waits import LongPolls

EXTENSION = "hireling"


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Everything a request needs from outside: services, settings, the gateway's own rows, time."""

    caller: RpcClient
    settings: GatewaySettings
    database: Database
    clock: Clock
    # Waiting differs by process: threads on the stack, greenlets where the gateway shares the services'
    # process.
    pause: Callable[[float], object]
    long_polls: LongPolls
    # Each live stream holds a thread or greenlet for as long as someone watches.
    streams: threading.BoundedSemaphore

    def call(self, service: str, method: str, *arguments: Any) -> Any:
        """Return the result of a service's method, a JSON value."""
        return self.caller.call(service, method, *arguments, timeout=self.settings.call_seconds)

    def call_for_text(self, service: str, method: str, *arguments: Any) -> bytes:
        """Return the JSON of the result of a service's method, unread."""
        return self.caller.call_for_text(service, method, *arguments, timeout=self.settings.call_seconds)


def wire(model: BaseModel) -> Any:
    """Return a message as it travels: JSON values."""
    return model.model_dump(mode="json")


def call(service: str, method: str, *arguments: Any) -> Any:
    """Return the result of a service's method, for the request at hand."""
    return neighbours().call(service, method, *arguments)


def handed_on(service: str, method: str, *arguments: Any) -> Response:
    """Return the response that is the result of a service's method, as the service wrote it."""
    return Response(neighbours().call_for_text(service, method, *arguments), mimetype="application/json")


def neighbours() -> Neighbours:
    """Return the running application's neighbours."""
    found: Neighbours = current_app.extensions[EXTENSION]
    return found
