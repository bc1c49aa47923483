"""Quotes: a renter's question, and the offers of both sides."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.offer import SignedOffer
from hireling.rental.session_document import SessionDocument
from services.gateway.parameters import QuotePath, QuoteWait, problems
from services.gateway.rpc import call, neighbours, wire
from services.messages.negotiation import QuoteMark, QuoteStatus, QuoteView, SignedQuoteRequest

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
    signatures = query.signatures
    if not query.wait or signatures is None:
        quote = call("negotiation", "get_quote", path.quote_id)
        signatures = len(quote["signed_by"]) if signatures is None else signatures
        if not query.wait or _is_news(_mark_of(quote), query.after, signatures):
            return quote
    here.long_polls.quotes.wait(
        path.quote_id,
        lambda mark: _is_news(mark, query.after, signatures),
        seconds=min(query.wait, here.settings.longest_poll_seconds),
    )
    return call("negotiation", "get_quote", path.quote_id)


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


def _mark_of(quote: dict[str, Any]) -> QuoteMark:
    return QuoteMark(
        status=QuoteStatus(quote["status"]), offers=len(quote["offers"]), signatures=len(quote["signed_by"])
    )


def _is_news(mark: QuoteMark, offers: int, signatures: int) -> bool:
    return mark.status != QuoteStatus.OPEN or mark.offers > offers or mark.signatures > signatures
