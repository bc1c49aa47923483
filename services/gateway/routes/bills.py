"""Bills: what a settled rental cost, reading by reading, verifiable offline."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.bill import SignedBill
from services.gateway.parameters import Countersignature, PageQuery, RentalPath, problems
from services.gateway.rpc import call, wire
from services.messages.page import Page
from services.messages.settlement import BillSummary

routes = APIBlueprint(
    "bills", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="bills")]
)


@routes.get("/bills", operation_id="list_bills", responses={200: Page[BillSummary]})
def list_bills(query: PageQuery) -> Any:
    """Return a page of bills, newest first."""
    return call("settlement", "list_bills", query.cursor, query.limit)


@routes.get("/rentals/<rental_id>/bill", operation_id="get_bill", responses={200: SignedBill})
def get_bill(path: RentalPath) -> Any:
    """Return a settled rental's bill."""
    return call("settlement", "get_bill", wire(path)["rental_id"])


@routes.post(
    "/bills/<rental_id>/countersignature", operation_id="countersign_bill", responses={200: SignedBill}
)
def countersign_bill(path: RentalPath, body: Countersignature) -> Any:
    """Add the owner's agent's signature to a bill."""
    return call("settlement", "countersign_bill", wire(path)["rental_id"], wire(body)["signature"])
