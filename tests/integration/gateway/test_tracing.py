"""A request's trace goes on in the services that it calls, and in what they tell."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from services.chassis.tracing import record_spans
from tests.fakes.front import WITHIN_SECONDS, Front

TRACE_ID = "5f" * 16
TRACEPARENT = f"00-{TRACE_ID}-{'1a' * 8}-01"


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    """Record every span in memory."""
    exporter = InMemorySpanExporter()
    record_spans(SimpleSpanProcessor(exporter), sampler=ALWAYS_ON)
    yield exporter
    record_spans(None)


def names(told: InMemorySpanExporter) -> set[str]:
    """Return what was done in the caller's trace."""
    spans = told.get_finished_spans()
    return {span.name for span in spans if f"{span.context.trace_id:032x}" == TRACE_ID}


def test_a_callers_trace_reaches_whoever_hears_of_it(front: Front, told: InMemorySpanExporter) -> None:
    registration = front.device.registration()
    response = front.post("/v1/devices", registration, traceparent=TRACEPARENT)
    assert response.status_code == 200, response.text
    front.platform.wait_until(
        lambda: (
            names(told)
            >= {
                "POST /v1/devices",
                "call listing.register_device",
                "listing.register_device",
                "settlement.on_device_admitted",
                "listing.on_device_registered",
            }
        ),
        timeout=WITHIN_SECONDS,
    )


def test_what_a_caller_makes_up_is_no_trace(front: Front, told: InMemorySpanExporter) -> None:
    assert front.client.get("/v1/devices", headers={"traceparent": "nonsense"}).status_code == 200
    (request,) = [span for span in told.get_finished_spans() if span.name == "GET /v1/devices"]
    assert request.parent is None
