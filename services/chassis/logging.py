"""Logs are events with fields, never sentences with values; a field that looks like a secret is refused."""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from services.chassis.settings import LogSettings
from services.chassis.tracing import trace_fields

REFUSED = "[refused]"

# public_key, key_id, event_key and idempotency_key are names, not secrets, and logs need them.
_SECRET_NAME = re.compile(
    r"(^|_)(secret|password|passphrase|passwd|mnemonic|seed|token|authorization"
    r"|(api|private|signing|session|secret)_key)s?(_|$)"
)
_SECRET_NAME_EXACT = frozenset({"key", "keys", "credentials", "cookie"})
_STRUCTLOG_OWN = frozenset({"exc_info", "_record", "_from_structlog"})
_CREDENTIALS_IN_URL = re.compile(r"(://[^:/@\s]*):[^@/\s]+@")


def configure_logging(settings: LogSettings | None = None) -> None:
    """Send structured events to standard error, as JSON lines or for a console.

    The standard library's records go with them.
    """
    settings = settings or LogSettings()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        trace_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        refuse_secrets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    # Nameko logs each failed worker with its arguments; our entrypoints log the same failure without them.
    logging.getLogger("nameko.containers").setLevel(logging.CRITICAL)
    # httpx tells the address of every request, which has a key in it at many nodes.
    for noisy in ("kombu", "amqp", "alembic", "nameko", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def write_past_locks(logger: str, event: str, **fields: Any) -> None:
    """Write a warning at once, past every lock: for a thread beside others that may never go on."""
    record = logging.makeLogRecord(
        {"name": logger, "levelno": logging.WARNING, "levelname": "WARNING", "msg": event, **fields}
    )
    for handler in logging.getLogger().handlers:
        os.write(sys.stderr.fileno(), f"{handler.format(record)}\n".encode())


def _renderers(settings: LogSettings) -> list[structlog.typing.Processor]:
    if settings.log_format == "json":
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [
            structlog.processors.ExceptionRenderer(tracebacks),
            structlog.processors.JSONRenderer(default=str),
        ]
    # Tracebacks without local variables, in both formats: secrets live there.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


def refuse_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace the value of every field whose name says that it is a secret, and passwords inside URLs.

    Fields count at any depth.
    """
    return {name: value if name in _STRUCTLOG_OWN else _scrub(name, value) for name, value in event.items()}


def _scrub(name: str, value: Any) -> Any:
    if _is_secret(name.lower()):
        return REFUSED
    if isinstance(value, MutableMapping):
        return {str(inner): _scrub(str(inner), item) for inner, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scrub("", item) for item in value]
    if isinstance(value, str):
        return _CREDENTIALS_IN_URL.sub(r"\1:" + REFUSED + "@", value)
    return value


def _is_secret(name: str) -> bool:
    return name in _SECRET_NAME_EXACT or (name != "token_address" and _SECRET_NAME.search(name) is not None)


def get_logger(name: str | None = None) -> structlog.stdlib.BoundLogger:
    """Return a logger whose calls are ``log.info("event_in_past_tense", field=value)``."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
