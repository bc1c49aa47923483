"""Auctions: a renter asks and machines bid, or renters bid for machines."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.auctions.bids import SignedBid, SignedCommitment
from hireling.auctions.document import AuctionDocument
from hireling.auctions.notice import SignedNotice
from services.gateway.parameters import AuctionPath, Auctions, problems
from services.gateway.rpc import call, wire
from services.messages.auctions import AuctionQuery, AuctionView

routes = APIBlueprint(
    "auctions", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="auctions")]
)


@routes.post("/auctions", operation_id="open_auction", responses={200: AuctionView})
def open_auction(body: SignedNotice) -> Any:
    """Open an auction, by a notice that its holder signed.

    The same notice again is the same auction.
    """
    return call("negotiation", "open_auction", wire(body))


@routes.get("/auctions", operation_id="list_auctions", responses={200: Auctions})
def list_auctions(query: AuctionQuery) -> Any:
    """Return auctions, newest first; every given field narrows."""
    return {"items": call("negotiation", "list_auctions", wire(query))}


@routes.get("/auctions/<auction>", operation_id="get_auction", responses={200: AuctionView})
def get_auction(path: AuctionPath) -> Any:
    """Return an auction as it stands: its notice, what follows from the bids so far, and its awards."""
    return call("negotiation", "get_auction", wire(path)["auction"])


@routes.post("/auctions/<auction>/commitments", operation_id="commit_bid", responses={200: AuctionView})
def commit_bid(path: AuctionPath, body: SignedCommitment) -> Any:
    """Hand in a sealed bid: its hash. The bid itself follows when all have come, or does not count."""
    return call("negotiation", "commit_bid", wire(path)["auction"], wire(body))


@routes.post("/auctions/<auction>/bids", operation_id="place_bid", responses={200: AuctionView})
def place_bid(path: AuctionPath, body: SignedBid) -> Any:
    """Bid, or reveal the bid that was committed to; the same one again changes nothing."""
    return call("negotiation", "place_bid", wire(path)["auction"], wire(body))


@routes.get(
    "/auctions/<auction>/document", operation_id="get_auction_document", responses={200: AuctionDocument}
)
def get_auction_document(path: AuctionPath) -> Any:
    """Return everything of an auction that was signed: enough for anybody to recompute its outcome."""
    return call("negotiation", "get_auction_document", wire(path)["auction"])
