"""The answer to a call as it travels: Nameko's envelope of a result and an error.

A result may be JSON that is written already. Then it is neither built nor dumped on its way, and a caller who
only hands it on need not parse it.
"""

import json
from functools import lru_cache
from typing import Any

from kombu import Connection
from kombu.pools import producers
from kombu.utils.json import dumps, loads
from nameko.constants import DEFAULT_RETRY_POLICY, DEFAULT_TRANSPORT_OPTIONS

from services.chassis.rows import WrittenJson
from services.messages.errors import ERRORS, HirelingError, OperatorError

_BEFORE, _AFTER = '{"result": ', ', "error": null}'
# How kombu marks what JSON has no type for, such as a moment.
_MARK = b'"__type__"'


def written(result: Any, error: dict[str, Any] | None) -> str:
    """Return the envelope. Raises TypeError or ValueError where the result is no JSON value."""
    if error is None:
        return f"{_BEFORE}{result.text if isinstance(result, WrittenJson) else dumps(result)}{_AFTER}"
    return str(dumps({"result": None, "error": error}))


def send(envelope: str, *, to: Any, amqp_uri: str, exchange: Any) -> None:
    """Answer this message, as far as the bus can be reached.

    As Nameko's Responder does, which would dump the result twice and read the bus's address each time, and
    wait for the bus's word that it has the answer. One that is lost is an unknown outcome to its caller, as
    it would be if the caller's own connection broke.
    """
    with producers[_bus(amqp_uri)].acquire(block=True) as producer:
        producer.publish(
            envelope,
            content_type="application/json",
            content_encoding="utf-8",
            exchange=exchange,
            routing_key=to.properties["reply_to"],
            correlation_id=to.properties.get("correlation_id"),
            retry=True,
            retry_policy=DEFAULT_RETRY_POLICY,
        )


@lru_cache(maxsize=16)
def _bus(amqp_uri: str) -> Connection:
    """Return what the pool of producers knows the bus by; never connected itself."""
    return Connection(amqp_uri, transport_options={**DEFAULT_TRANSPORT_OPTIONS, "confirm_publish": False})


def result_of(envelope: bytes, target: str) -> Any:
    """Return the result. Raises the error that the service `target` answered with."""
    body = loads(envelope) if _MARK in envelope else json.loads(envelope)
    if body["error"]:
        raise _error_of(body["error"], target)
    return body["result"]


def text_of(envelope: bytes, target: str) -> bytes:
    """Return the result's JSON as it was written. Raises the error that the service answered with."""
    # Before the brace that ends an object stands its own last member: this is no error's.
    if envelope.startswith(_BEFORE.encode()) and envelope.endswith(_AFTER.encode()):
        return envelope[len(_BEFORE) : -len(_AFTER)]
    return json.dumps(result_of(envelope, target)).encode()


def _error_of(error: dict[str, Any], target: str) -> HirelingError:
    known = ERRORS.get(error.get("exc_type", ""))
    arguments = error.get("exc_args") or []
    if known is not None and error.get("exc_path") == f"{known.__module__}.{known.__name__}" and arguments:
        return known.from_wire(arguments[0])
    detail = f"{target} failed: {error.get('exc_type')}"
    return OperatorError("remote_failure", detail, error=str(error.get("value"))[:500], target=target)
