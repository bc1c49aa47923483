"""An OTLP receiver: what processes tell of their work, as any collector would hear it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class SpanSeen:
    """A span that a process exported."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    rental_id: str | None
    linked: tuple[str, ...]


@dataclass
class Collector:
    """Hears spans on a port of this machine."""

    endpoint: str = ""
    spans: list[SpanSeen] = field(default_factory=list)

    def of_trace(self, trace_id: str) -> list[SpanSeen]:
        """Return the spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    def take(self, body: bytes) -> None:
        """Keep what an export tells."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
            service = attributes["service.name"].removeprefix("hireling-")
            for scope in resource.scope_spans:
                self.spans += [_seen(span, service) for span in scope.spans]


def _seen(span: Any, service: str) -> SpanSeen:
    attributes = {each.key: each.value.string_value for each in span.attributes}
    return SpanSeen(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        rental_id=attributes.get("rental_id"),
        linked=tuple(link.trace_id.hex() for link in span.links),
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Receive spans for the length of a block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                raise ValueError("the exporter compresses: this receiver does not")
            collector.take(body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
