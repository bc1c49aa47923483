"""Calls between processes, on Nameko's wire.

A request to ``nameko-rpc`` with routing key ``<service>.<method>``, a reply by correlation id.

Nameko's own proxies have no timeout inside a service, and outside one they are poisoned for ever by a broken
connection.
"""

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from kombu import Connection, Consumer, Exchange, Queue
from kombu.exceptions import OperationalError
from structlog.contextvars import get_contextvars

from services.chassis.answers import result_of, text_of
from services.chassis.bus import CONNECT_TIMEOUT_SECONDS, HEARTBEAT_SECONDS, connect
from services.chassis.counts import RPC_CALLED, RPC_CALLED_SECONDS, outcome_of
from services.chassis.database import inside_unit_of_work, note_effect
from services.chassis.logging import get_logger
from services.chassis.publishing import ConfirmedPublisher, Unroutable
from services.chassis.tracing import TRACEPARENT, begin, current_traceparent
from services.chassis.waiting import Flag, concurrency_for
from services.messages.errors import OutcomeUnknown, Unavailable

EXCHANGE = Exchange("nameko-rpc", durable=True, type="topic")
# Nameko hands a worker the headers that begin so.
TRACE_HEADER = f"nameko.{TRACEPARENT}"

_log = get_logger(__name__)

Result = TypeVar("Result")


@dataclass
class _Pending:
    """A call that waits for its reply."""

    arrived: Flag
    envelope: bytes | None = None


class RpcClient:
    """Calls services over one bus, from any number of threads or greenlets at once.

    Connects at the first call.

    Replies are read on one connection and requests written on another under a lock, since a connection must
    not be shared.
    """

    def __init__(self, amqp_uri: str) -> None:
        self._uri = amqp_uri
        self._concurrency = concurrency_for(amqp_uri)
        self._write_lock = self._concurrency.lock()
        self._pending: dict[str, _Pending] = {}
        self._reply_key = str(uuid.uuid4())
        self._listening: Flag | None = None
        self._publisher = ConfirmedPublisher(amqp_uri)
        self._closed = False

    def call(self, service: str, method: str, *arguments: Any, timeout: float, **keywords: Any) -> Any:
        """Call a service's method and return its result; arguments and results are JSON values.

        Waits at most `timeout` seconds.

        Raises the error that the service raised; OperatorError where it failed by a bug; Unavailable when it
        was certainly not called (no broker, no such service running); OutcomeUnknown when no reply came in
        time. A request that waits in the service's queue is dropped when its caller's time is over.
        """
        return self._call(
            service, method, {"args": arguments, "kwargs": keywords}, timeout=timeout, read=result_of
        )

    def call_for_text(self, service: str, method: str, *arguments: Any, timeout: float) -> bytes:
        """Call as `call` does, and return the result's JSON as it was written, for who only hands it on."""
        body: dict[str, Any] = {"args": arguments, "kwargs": {}}
        return self._call(service, method, body, timeout=timeout, read=text_of)

    def _call(
        self,
        service: str,
        method: str,
        body: dict[str, Any],
        *,
        timeout: float,
        read: Callable[[bytes, str], Result],
    ) -> Result:
        if inside_unit_of_work():
            raise RuntimeError(
                f"call of {service}.{method} inside a unit of work would hold the database for {timeout} s"
            )
        note_effect()
        began, outcome = monotonic(), "done"
        work = begin(f"call {service}.{method}", service=_caller(), kind="call")
        try:
            return read(self._answer(service, method, body, timeout=timeout), f"{service}.{method}")
        except BaseException as error:
            outcome = outcome_of(error)
            raise
        finally:
            work.end(outcome)
            RPC_CALLED.labels(service, method, outcome).inc()
            RPC_CALLED_SECONDS.labels(service, method).observe(monotonic() - began)

    def _answer(self, service: str, method: str, body: dict[str, Any], *, timeout: float) -> bytes:
        correlation_id = str(uuid.uuid4())
        pending = self._pending[correlation_id] = _Pending(self._concurrency.flag())
        try:
            self._send(service, method, body, correlation_id=correlation_id, timeout=timeout)
            if not pending.arrived.wait(timeout) or pending.envelope is None:
                reason = "no reply" if not pending.arrived.wait(0) else "connection lost"
                raise OutcomeUnknown(
                    "no_reply",
                    f"{service}.{method}: {reason} within {timeout} s",
                    service=service,
                    method=method,
                )
            return pending.envelope
        finally:
            del self._pending[correlation_id]

    def close(self) -> None:
        """Close both connections; calls under way end with OutcomeUnknown."""
        self._closed = True
        with self._write_lock:
            self._publisher.drop()
        self._fail_pending()

    def _send(
        self, service: str, method: str, body: dict[str, Any], *, correlation_id: str, timeout: float
    ) -> None:
        with self._write_lock:
            try:
                self._ensure_listening()
                self._publisher.publish(
                    body,
                    exchange=EXCHANGE,
                    declare=[EXCHANGE],
                    routing_key=f"{service}.{method}",
                    # A call that nobody answers in time is unknown anyway, and the next one would wait here
                    # for this one's disk.
                    outlives_bus=False,
                    reply_to=self._reply_key,
                    correlation_id=correlation_id,
                    expiration=timeout,
                    headers=_trace_headers(),
                )
            except Unroutable as error:
                raise Unavailable(
                    "service_not_running", f"no service {service} is running", service=service
                ) from error

    def _ensure_listening(self) -> None:
        if self._listening is None:
            self._publisher.drop()  # what broke one connection has probably broken the other
            listening = self._concurrency.flag()
            connection = self._connect()
            self._listening = listening
            self._concurrency.spawn(lambda: self._listen(connection, listening))
        if not self._listening.wait(CONNECT_TIMEOUT_SECONDS):
            raise Unavailable("broker_unreachable", f"no reply queue within {CONNECT_TIMEOUT_SECONDS} s")

    def _connect(self) -> Connection:
        if self._closed:
            raise Unavailable("client_closed", "this client was closed")
        try:
            return connect(self._uri, heartbeat=HEARTBEAT_SECONDS)
        except (OperationalError, OSError) as error:
            raise Unavailable("broker_unreachable", f"cannot reach the message broker: {error}") from error

    def _listen(self, connection: Connection, listening: Flag) -> None:
        """Read replies until this client closes or the connection breaks; the next call connects anew."""
        queue = Queue(
            f"rpc.reply-hireling-{self._reply_key}-{uuid.uuid4().hex[:8]}",
            exchange=EXCHANGE,
            routing_key=self._reply_key,
            durable=False,
            exclusive=True,
            auto_delete=True,
        )
        errors = connection.connection_errors + connection.channel_errors
        try:
            with (
                connection,
                Consumer(connection.default_channel, [queue], on_message=self._on_reply, no_ack=True),
            ):
                listening.set()
                self._drain(connection)
        except errors as error:
            _log.warning("rpc_connection_lost", reason=str(error))
        finally:
            self._listening = None
            self._fail_pending()

    def _drain(self, connection: Connection) -> None:
        # A busy connection needs its heartbeats as well: it only ever receives, so the broker hears nothing
        # else.
        beaten_at = monotonic()
        while not self._closed:
            with suppress(TimeoutError):
                connection.drain_events(timeout=1.0)
            if connection.supports_heartbeats and monotonic() - beaten_at >= 1.0:
                connection.heartbeat_check()
                beaten_at = monotonic()

    def _on_reply(self, message: Any) -> None:
        # Read by who waits for it, each in a thread or greenlet of its own.
        pending = self._pending.get(message.properties.get("correlation_id"))
        if pending is not None:
            text = message.body
            pending.envelope = text.encode() if isinstance(text, str) else bytes(text)
            pending.arrived.set()

    def _fail_pending(self) -> None:
        for pending in list(self._pending.values()):
            pending.arrived.set()


def _caller() -> str:
    return str(get_contextvars().get("service", "unnamed"))


def _trace_headers() -> dict[str, str]:
    traceparent = current_traceparent()
    return {TRACE_HEADER: traceparent} if traceparent else {}
