"""Rentals: state and money, live; what was accepted and what was refused.

And what the renter and the owner send in.
"""

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.anchoring import ReadingProof
from hireling.rental.ceiling import SignedCeiling
from services.gateway.anchors import placed
from services.gateway.parameters import (
    Ceilings,
    Flags,
    Funding,
    ReadingPath,
    Readings,
    ReadingsQuery,
    Refusals,
    RentalPath,
    RentalSearch,
    RentalWait,
    SeriesWindow,
    UsageSeries,
    problems,
)
from services.gateway.rpc import call, neighbours, wire
from services.gateway.streams import EVENT_STREAM, rental_events
from services.messages.page import Page
from services.messages.settlement import CloseHalf, RentalView, SignedExit

routes = APIBlueprint(
    "rentals", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="rentals")]
)

# The schema of one event, as it is usual where OpenAPI has no word for streams.
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"type": "string", "enum": ["rental", "end"]},
        "data": {"type": "string", "description": "a RentalView in JSON; empty at the end"},
        "retry": {"type": "integer", "description": "ms to wait before connecting again"},
    },
}
_EVENTS = {
    "description": "Server-sent events: `rental`, a RentalView, whenever it changes; `end` when it is over.",
    "content": {EVENT_STREAM: {"schema": _EVENT}},
}


@routes.get("/rentals", operation_id="list_rentals", responses={200: Page[RentalView]})
def list_rentals(query: RentalSearch) -> Any:
    """Return a page of rentals, newest first."""
    return call("settlement", "list_rentals", wire(query))


@routes.get("/rentals/<rental_id>", operation_id="get_rental", responses={200: RentalView})
def get_rental(path: RentalPath, query: RentalWait) -> Any:
    """Return one rental; with `wait`, as soon as it went on from `progress`, or when time is up."""
    here, rental_id, known = neighbours(), wire(path)["rental_id"], query.progress
    if query.wait and known is not None:
        here.long_polls.rentals.wait(
            rental_id,
            lambda progress: progress > known,
            # One that was restored from a backup is behind.
            is_other=lambda progress: progress != known,
            seconds=min(query.wait, here.settings.longest_poll_seconds),
        )
    return call("settlement", "get_rental", rental_id)


@routes.get("/rentals/<rental_id>/events", operation_id="watch_rental", responses={200: _EVENTS})
def watch_rental(path: RentalPath) -> Response:
    """Stream a rental's changes until it is over."""
    return rental_events(neighbours(), wire(path)["rental_id"])


@routes.post("/rentals/<rental_id>/funding", operation_id="fund_rental", responses={200: RentalView})
def fund_rental(path: RentalPath, body: Funding) -> Any:
    """Relay the escrow's opening, with the renter's permit; the platform pays the gas."""
    return call("settlement", "fund", wire(path)["rental_id"], wire(body)["permit"])


@routes.post("/rentals/<rental_id>/ceilings", operation_id="submit_ceiling", responses={200: SignedCeiling})
def submit_ceiling(path: RentalPath, body: SignedCeiling) -> Any:
    """Raise what may be claimed, by the renter's session key; it is carried down to the device.

    Returns the one that counts.
    """
    return call("metering", "submit_ceiling", wire(path)["rental_id"], wire(body))


@routes.get("/rentals/<rental_id>/ceilings", operation_id="get_ceilings", responses={200: Ceilings})
def get_ceilings(path: RentalPath) -> Any:
    """Return the ceilings that were accepted."""
    return {"items": call("metering", "get_ceilings", wire(path)["rental_id"])}


@routes.get("/rentals/<rental_id>/readings", operation_id="get_readings", responses={200: Readings})
def get_readings(path: RentalPath, query: ReadingsQuery) -> Any:
    """Return accepted readings in order; 409 readings_dropped, with kept_from, where they are not kept."""
    return call("metering", "get_readings", wire(path)["rental_id"], query.after, query.limit)


@routes.get("/rentals/<rental_id>/series", operation_id="get_series", responses={200: UsageSeries})
def get_series(path: RentalPath, query: SeriesWindow) -> Any:
    """Return a rental's use over time, in steps of any length: how many readings, the first and the last.

    Numbers are cumulative: what was used in a step is its last state less the last of the step before. 409
    readings_dropped for steps finer than a minute of days whose readings are no longer kept.
    """
    return call("metering", "get_series", wire(path)["rental_id"], wire(query))


@routes.get(
    "/rentals/<rental_id>/readings/<int:seq>/proof",
    operation_id="get_reading_proof",
    responses={200: ReadingProof},
)
def get_reading_proof(path: ReadingPath) -> Any:
    """Return what shows a reading to be under its day's root, and where that root is on the chain.

    The transaction is null until it is confirmed; 409 day_not_closed, with closes_at, before the day is
    counted, and readings_dropped, with kept_from, where it is no longer kept.
    """
    return placed(call("metering", "get_proof", wire(path)["rental_id"], path.seq))


@routes.get("/rentals/<rental_id>/refusals", operation_id="get_refusals", responses={200: Refusals})
def get_refusals(path: RentalPath) -> Any:
    """Return what did not count and why.

    Metering tells of signatures, numbers and counters, settlement of amounts.
    """
    rental_id = wire(path)["rental_id"]
    refusals = [*call("metering", "get_refusals", rental_id), *call("settlement", "get_refusals", rental_id)]
    return {"items": sorted(refusals, key=lambda refusal: str(refusal["at"]))}


@routes.get("/rentals/<rental_id>/flags", operation_id="get_flags", responses={200: Flags})
def get_flags(path: RentalPath) -> Any:
    """Return what looks wrong about readings that count, and what of it holds the tail of the money back."""
    return {"items": call("settlement", "get_flags", wire(path)["rental_id"])}


@routes.post("/rentals/<rental_id>/closes", operation_id="submit_close", responses={200: RentalView})
def submit_close(path: RentalPath, body: CloseHalf) -> Any:
    """Add one side's signature over the final amount; with both, the escrow pays at once."""
    return call("settlement", "submit_close", wire(path)["rental_id"], wire(body))


@routes.post("/rentals/<rental_id>/exits", operation_id="submit_exit", responses={200: RentalView})
def submit_exit(path: RentalPath, body: SignedExit) -> Any:
    """Relay one side's irrevocable wish to end the lock early."""
    return call("settlement", "submit_exit", wire(path)["rental_id"], wire(body))
