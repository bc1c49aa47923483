"""How a service is entered: called (`rpc`), told (`on_event`, in inbox) or reminded (`timer`)."""

import inspect
import random
import sys
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

import eventlet
from nameko.exceptions import UnserializableValueError, serialize
from nameko.rpc import Rpc as NamekoRpc
from nameko.timer import Timer as NamekoTimer
from pydantic import ValidationError

from services.chassis.answers import send, written
from services.chassis.database import BUSY_PAUSES_SECONDS, DATABASE_BUSY, effects_so_far
from services.chassis.inbox import on_event
from services.chassis.logging import get_logger
from services.chassis.rpc import EXCHANGE
from services.messages.errors import CallerError, HirelingError, Invalid, Unavailable, invalid_of

__all__ = ["on_event", "rpc", "timer"]

_log = get_logger(__name__)

Method = TypeVar("Method", bound=Callable[..., Any])
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Rpc(NamekoRpc):
    """A method that other processes call.

    Its errors reach them typed, and a request that does not parse is Invalid.
    """

    def handle_result(
        self, message: Any, worker_ctx: Any, result: Any, exc_info: ExcInfo | None
    ) -> tuple[Any, ExcInfo | None]:
        """Send the result or the error, and log why a call failed."""
        if exc_info is not None:
            exc_info = _typed(exc_info)
            _log_failure("rpc_failed", exc_info)
        envelope, exc_info = _enveloped(result, exc_info)
        send(envelope, to=message, amqp_uri=self.container.config["AMQP_URI"], exchange=EXCHANGE)
        self.rpc_consumer.queue_consumer.ack_message(message)
        return result, exc_info


class Timer(NamekoTimer):
    """A method called every `interval` seconds; a failure is logged and the next tick comes all the same."""

    def handle_result(
        self, worker_ctx: Any, result: Any, exc_info: ExcInfo | None
    ) -> tuple[Any, ExcInfo | None]:
        """Log why a tick failed, and let the timer go on."""
        if exc_info is not None:
            _log_failure("timer_failed", exc_info)
        done: tuple[Any, ExcInfo | None] = super().handle_result(worker_ctx, result, exc_info)
        return done


def rpc(method: Method) -> Method:
    """Let other processes call this method as ``remote.call("<service>", "<method>", …, timeout=…)``.

    Arguments and result are JSON.
    """

    @wraps(method)
    def run_alone(service: Any, *arguments: Any, **keywords: Any) -> Any:
        before = effects_so_far()
        for pause in BUSY_PAUSES_SECONDS:
            try:
                return method(service, *arguments, **keywords)
            except Unavailable as error:
                if error.code != DATABASE_BUSY or effects_so_far() != before:
                    raise
                eventlet.sleep(pause * random.random())
        return method(service, *arguments, **keywords)

    # Nameko checks a call's arguments against the signature, and would find the wrapper's.
    run_alone.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    marked: Method = Rpc.decorator(run_alone)
    return marked


def timer(*, interval: float) -> Callable[[Method], Method]:
    """Call this method every `interval` seconds, never twice at once; after a longer run, at once."""
    mark: Callable[[Method], Method] = Timer.decorator(interval=interval)
    return mark


def _typed(exc_info: ExcInfo) -> ExcInfo:
    error = exc_info[1]
    if not isinstance(error, ValidationError):
        return exc_info
    return Invalid, invalid_of(error, what=error.title), exc_info[2]


def _enveloped(result: Any, exc_info: ExcInfo | None) -> tuple[str, ExcInfo | None]:
    """Return what travels, and what went wrong: also that the result is nothing that travels."""
    if exc_info is not None:
        return written(None, serialize(exc_info[1])), exc_info
    try:
        return written(result, None), None
    except Exception:  # noqa: BLE001 - whatever it is, the service goes on and its caller hears of it
        return written(None, serialize(UnserializableValueError(result))), sys.exc_info()  # type: ignore[return-value]


def _log_failure(event: str, exc_info: ExcInfo) -> None:
    error = exc_info[1]
    if isinstance(error, CallerError):
        _log.info(event, error=type(error).__name__, code=error.code, detail=error.detail)
    elif isinstance(error, HirelingError):
        _log.warning(event, error=type(error).__name__, code=error.code, detail=error.detail)
    else:
        _log.error(event, error=type(error).__name__, exc_info=exc_info)
