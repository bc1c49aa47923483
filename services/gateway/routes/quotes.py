"""Quotes: a renter's question, and the offers of both sides."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.offer import SignedOffer
from hireling.rental.session_document import SessionDocument
from services.gateway.parameters import QuotePath, QuoteWait, problems
from services.gateway.rpc import call, neighbours, wire
from services.messages.negotiation import QuoteStatus, QuoteView, SignedQuoteRequest

FIRST_PAUSE_SECONDS = 0.1

routes = APIBlueprint(
    "quotes", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="quotes")]
)


@routes.post("/quotes", operation_id="request_quote", responses={200: QuoteView})
def request_quote(body: SignedQuoteRequest) -> Any:
    """Ask a device for its all-in price, signed by the renter's session key."""
    return call("negotiation", "request_quote", wire(body))


@routes.get("/quotes/<quote_id>", operation_id="get_quote", responses={200: QuoteView})
def get_quote(path: QuotePath, query: QuoteWait) -> Any:
    """Return a quote session; with `wait`, as soon as something new happened in it, or when time is up."""
    here = neighbours()
    quote = call("negotiation", "get_quote", path.quote_id)
    signatures = len(quote["signed_by"]) if query.signatures is None else query.signatures
    waited = 0.0
    while waited < min(query.wait, here.settings.longest_poll_seconds) and not _is_news(
        quote, query.after, signatures
    ):
        # An agent answers within some tenths of a second, a person takes longer.
        pause = min(here.settings.poll_seconds, FIRST_PAUSE_SECONDS + waited / 4)
        here.pause(pause)
        waited += pause
        quote = call("negotiation", "get_quote", path.quote_id)
    return quote


@routes.get(
    "/quotes/<quote_id>/documents", operation_id="get_session_document", responses={200: SessionDocument}
)
def get_session_document(path: QuotePath) -> Any:
    """Return everything of a session that was signed: enough for anybody to replay and check it."""
    return call("negotiation", "get_session_document", path.quote_id)


@routes.post("/quotes/<quote_id>/offers", operation_id="make_offer", responses={200: QuoteView})
def make_offer(path: QuotePath, body: SignedOffer) -> Any:
    """Put an offer on the table, signed by the agent whose turn it is over the offer before."""
    return call("negotiation", "make_offer", path.quote_id, wire(body))


def _is_news(quote: dict[str, Any], offers: int, signatures: int) -> bool:
    return (
        quote["status"] != QuoteStatus.OPEN
        or len(quote["offers"]) > offers
        or len(quote["signed_by"]) > signatures
    )
