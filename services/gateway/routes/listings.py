"""Listings: what devices offer."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.listing import SignedListing
from services.gateway.parameters import ListingPath, ListingSearch, problems
from services.gateway.rpc import call, handed_on, wire
from services.messages.listing import ListingView
from services.messages.page import Page

routes = APIBlueprint(
    "listings", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="listings")]
)


@routes.post("/listings", operation_id="publish_listing", responses={200: ListingView})
def publish_listing(body: SignedListing) -> Any:
    """Publish what a device offers, signed by its owner's agent, instead of what it offered before."""
    return call("listing", "publish_listing", wire(body))


@routes.get("/listings", operation_id="search_listings", responses={200: Page[ListingView]})
def search_listings(query: ListingSearch) -> Any:
    """Return a page of the listings that count now, newest first."""
    return handed_on("listing", "search_listings", wire(query))


@routes.get("/listings/<listing>", operation_id="get_listing", responses={200: ListingView})
def get_listing(path: ListingPath) -> Any:
    """Return one listing, whether or not it still counts."""
    return call("listing", "get_listing", wire(path)["listing"])
