"""services.chassis.tracing: how a trace is named, carried and told of."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from services.chassis.tracing import (
    begin,
    current_traceparent,
    noted_in_rental,
    record_spans,
    rental_traceparent,
    rental_work,
    trace_fields,
)

RENTAL, OTHER = "0x" + "ab" * 32, "0x" + "cd" * 32


@pytest.fixture
def told() -> Iterator[InMemorySpanExporter]:
    """Record every span in memory."""
    exporter = InMemorySpanExporter()
    record_spans(SimpleSpanProcessor(exporter), sampler=ALWAYS_ON)
    yield exporter
    record_spans(None)


def ids_of(traceparent: str | None) -> tuple[str, str]:
    """Return trace id and span id."""
    assert traceparent is not None
    _, trace_id, span_id, _ = traceparent.split("-")
    return trace_id, span_id


class TestWithoutAnEndpoint:
    def test_there_are_ids_for_logs_and_calls_all_the_same(self) -> None:
        assert current_traceparent() is None
        assert trace_fields(None, "info", {"event": "alone"}) == {"event": "alone"}
        work = begin("outer", service="toy")
        outer = ids_of(current_traceparent())
        inner = begin("inner", service="toy")
        assert ids_of(current_traceparent())[0] == outer[0]
        inner.end()
        fields = trace_fields(None, "info", {"event": "seen"})
        assert (fields["trace_id"], fields["span_id"]) == outer
        work.end()
        assert current_traceparent() is None

    @pytest.mark.parametrize("nonsense", ["", "00-zz", "5f1c", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
    def test_what_names_no_trace_begins_one(self, nonsense: str) -> None:
        work = begin("first", service="toy", parent=nonsense)
        trace_id, _ = ids_of(current_traceparent())
        assert int(trace_id, 16)
        work.end()


class TestARentalsTrace:
    def test_is_the_beginning_of_its_id_in_every_process(self) -> None:
        with rental_work("claim", service="settlement", rental_ids=[RENTAL]):
            assert ids_of(current_traceparent())[0] == "ab" * 16
        assert ids_of(noted_in_rental("accept", service="metering", rental_id=RENTAL))[0] == "ab" * 16

    def test_is_linked_from_work_that_is_about_it(self, told: InMemorySpanExporter) -> None:
        begin("GET", service="gateway", rental_id=RENTAL).end()
        begin("GET", service="gateway", rental_id="no rental").end("refused")
        about, other = told.get_finished_spans()
        assert about.attributes == {"rental_id": RENTAL}
        assert [f"{link.context.trace_id:032x}" for link in about.links] == ["ab" * 16]
        assert (other.attributes, other.links) == ({"outcome": "refused"}, ())

    def test_of_several_rentals_is_one_that_links_to_each(self, told: InMemorySpanExporter) -> None:
        with rental_work("send claims", service="settlement", rental_ids=[RENTAL, OTHER]):
            pass
        (batch,) = told.get_finished_spans()
        assert [f"{link.context.trace_id:032x}" for link in batch.links] == ["ab" * 16, "cd" * 16]

    def test_goes_on_where_an_event_of_it_is_handled(self, told: InMemorySpanExporter) -> None:
        carried = noted_in_rental("accept readings", service="metering", rental_id=RENTAL)
        begin("settlement.on_usage_accepted", service="settlement", kind="event", parent=carried).end()
        accepted, handled = told.get_finished_spans()
        assert accepted.context is not None
        assert handled.parent is not None
        assert handled.parent.span_id == accepted.context.span_id
        assert f"{handled.parent.trace_id:032x}" == ids_of(rental_traceparent(RENTAL))[0]
        assert handled.resource.attributes["service.name"] == "hireling-settlement"

    def test_says_what_failed(self, told: InMemorySpanExporter) -> None:
        with pytest.raises(ZeroDivisionError), rental_work("bill", service="settlement", rental_ids=[RENTAL]):
            raise ZeroDivisionError
        (failed,) = told.get_finished_spans()
        assert not failed.status.is_ok
        assert failed.events == ()
