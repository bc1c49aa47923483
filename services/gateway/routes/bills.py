"""Bills: what a settled rental cost, reading by reading, verifiable offline."""

from collections.abc import Iterator
from typing import Any

from flask import Response, stream_with_context
from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.bill import SignedBill
from services.gateway.parameters import Countersignature, PageQuery, RentalPath, problems
from services.gateway.rpc import call, wire
from services.messages.page import Page
from services.messages.settlement import BillPart, BillSummary

routes = APIBlueprint(
    "bills", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="bills")]
)


@routes.get("/bills", operation_id="list_bills", responses={200: Page[BillSummary]})
def list_bills(query: PageQuery) -> Any:
    """Return a page of bills, newest first."""
    return call("settlement", "list_bills", query.cursor, query.limit)


@routes.get("/rentals/<rental_id>/bill", operation_id="get_bill", responses={200: SignedBill})
def get_bill(path: RentalPath) -> Any:
    """Return a settled rental's bill. A long rental's has tens of megabytes and comes in parts."""
    return _bill(wire(path)["rental_id"])


@routes.post(
    "/bills/<rental_id>/countersignature", operation_id="countersign_bill", responses={200: SignedBill}
)
def countersign_bill(path: RentalPath, body: Countersignature) -> Any:
    """Add the owner's agent's signature to a bill."""
    rental_id = wire(path)["rental_id"]
    call("settlement", "countersign_bill", rental_id, wire(body)["signature"])
    return _bill(rental_id)


def _bill(rental_id: str) -> Response:
    first = _part(rental_id)
    return Response(stream_with_context(_parts(rental_id, first)), mimetype="application/json")


def _parts(rental_id: str, part: BillPart) -> Iterator[str]:
    """Yield a bill's JSON; an error on the way breaks the answer off, which its reader notices."""
    sent = 0
    while True:
        yield part.text
        sent += len(part.text)
        if sent >= part.length or not part.text:
            return
        part = _part(rental_id, offset=sent, length=part.length)


def _part(rental_id: str, *, offset: int = 0, length: int | None = None) -> BillPart:
    return BillPart.model_validate(call("settlement", "get_bill_part", rental_id, offset, length))
