"""Traces: what one request, event or rental leads to, across processes and over days.

The one door to OpenTelemetry. A trace travels as a W3C traceparent: in HTTP's header, in the headers of calls
and events, and beside each event in the outbox. A call or an event goes on with the trace it came with.

Every rental has a trace of its own besides, whose id is the beginning of the rental's: what comes of a
meter's readings belongs to it, in whichever process and after whatever restart, for there is nothing to hand
on. What else is about a rental, such as a request of its renter's, is linked to it and names the rental.

Without an endpoint nothing is recorded: there are ids in the logs, and no more.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeGuard

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, WrappedLogger

from services.chassis.settings import TraceSettings

TRACEPARENT = "traceparent"
KINDS = {
    "call": SpanKind.CLIENT,
    "event": SpanKind.CONSUMER,
    "rpc": SpanKind.SERVER,
    "http": SpanKind.SERVER,
    "work": SpanKind.INTERNAL,
}
TRACE_DIGITS, SPAN_DIGITS = 32, 16

_RENTAL_ID = re.compile(r"0x[0-9a-f]{64}")
_propagator = TraceContextTextMapPropagator()


class _Recording:
    """Where spans go, if anywhere."""

    processor: SpanProcessor | None = None
    sampler: Sampler = ALWAYS_OFF


class Work:
    """A piece of work under way; what this thread or greenlet does now belongs to it."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token = otel_context.attach(trace.set_span_in_context(span))

    def end(self, outcome: str = "done") -> None:
        """End it with what came of it."""
        if outcome != "done":
            self._span.set_attribute("outcome", outcome)
            if outcome != "refused":  # by the rules, which is no fault
                self._span.set_status(Status(StatusCode.ERROR, outcome))
        self._span.end()
        otel_context.detach(self._token)


def configure_tracing(settings: TraceSettings | None = None) -> None:
    """Send this process's spans to HIRELING_OTLP_ENDPOINT, where one is set; call it after any fork."""
    settings = settings or TraceSettings()
    if settings.otlp_endpoint is None:
        return
    # Half as much memory again, for who wants it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint)
    record_spans(BatchSpanProcessor(exporter), sampler=TraceIdRatioBased(settings.trace_ratio))


def record_spans(processor: SpanProcessor | None, *, sampler: Sampler = ALWAYS_OFF) -> None:
    """Hand the spans that the sampler chooses to this processor; None records none."""
    _Recording.processor, _Recording.sampler = processor, sampler
    _tracer.cache_clear()


def is_recording() -> bool:
    """Return whether spans go anywhere: what nobody sees need not be made."""
    return _Recording.processor is not None


def begin(
    name: str, *, service: str, kind: str = "work", parent: str | None = None, rental_id: str | None = None
) -> Work:
    """Begin a piece of work, as part of `parent` or else of what is under way here.

    With a rental it names the rental and is linked to the rental's own trace.
    """
    under = otel_context.get_current() if parent is None else _context_of(parent)
    own = (rental_id,) if rental_id is not None and is_rental_id(rental_id) else ()
    links = [link for link in _links(own) if link.context.trace_id != _span_of(under).trace_id]
    attributes = dict(zip(("rental_id",), own, strict=False))
    return Work(
        _tracer(service).start_span(name, under, kind=KINDS[kind], attributes=attributes, links=links)
    )


@contextmanager
def rental_work(name: str, *, service: str, rental_ids: Sequence[str | None]) -> Iterator[None]:
    """Do a piece of work in the rental's own trace; of several rentals, in one that is linked to each."""
    known = [each for each in rental_ids if each is not None]
    if len(known) == 1:
        work = begin(name, service=service, parent=rental_traceparent(known[0]), rental_id=known[0])
    else:
        work = Work(_tracer(service).start_span(name, links=_links(known)))
    try:
        yield
    except BaseException:
        work.end("failed")
        raise
    work.end()


def noted_in_rental(name: str, *, service: str, rental_id: str) -> str:
    """Return the rental's own trace as it travels, after noting in it that this was done just now."""
    if not is_recording():
        return rental_traceparent(rental_id)
    with rental_work(name, service=service, rental_ids=[rental_id]):
        return current_traceparent() or rental_traceparent(rental_id)


def current_traceparent() -> str | None:
    """Return what is under way here as it travels, if anything is."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(TRACEPARENT)


def is_rental_id(value: object) -> TypeGuard[str]:
    """Return whether this is a rental's id as it travels."""
    return isinstance(value, str) and _RENTAL_ID.fullmatch(value) is not None


def rental_traceparent(rental_id: str) -> str:
    """Return a rental's own trace as it travels; `rental_id` is 0x-hex."""
    digits = rental_id[2:]
    return f"00-{digits[:TRACE_DIGITS]}-{digits[TRACE_DIGITS : TRACE_DIGITS + SPAN_DIGITS]}-01"


def trace_fields(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Add to a log's event which trace and span it belongs to."""
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        event["trace_id"] = trace.format_trace_id(found.trace_id)
        event["span_id"] = trace.format_span_id(found.span_id)
    return event


def _context_of(traceparent: str) -> Context:
    """Return the context that this names; an empty one where it names none."""
    return _propagator.extract({TRACEPARENT: traceparent}, Context())


def _span_of(context: Context) -> SpanContext:
    return trace.get_current_span(context).get_span_context()


def _links(rental_ids: Sequence[str]) -> list[Link]:
    """Return links to the rentals' own traces; none to what is no rental's id."""
    own = [_span_of(_context_of(rental_traceparent(rental_id))) for rental_id in rental_ids]
    return [Link(each) for each in own if each.is_valid]


@lru_cache(maxsize=16)
def _tracer(service: str) -> trace.Tracer:
    provider = TracerProvider(
        sampler=_Recording.sampler, resource=Resource.create({"service.name": f"hireling-{service}"})
    )
    if _Recording.processor is not None:
        provider.add_span_processor(_Recording.processor)
    return provider.get_tracer("hireling")
