"""Auctions: opened, bid in, read."""

from collections.abc import Sequence

from hireling.auctions.bids import SignedBid, SignedCommitment
from hireling.auctions.document import AuctionDocument
from hireling.auctions.notice import Rule, SignedNotice
from hireling.platform_calls.line import Line
from hireling.platform_views import AuctionView
from hireling.rental.typed_data import to_hex


class AuctionCalls(Line):
    """What is asked about auctions."""

    async def open_auction(self, notice: SignedNotice) -> AuctionView:
        """Open an auction; idempotent by its notice."""
        return await self._post("/v1/auctions", notice.model_dump(mode="json"), AuctionView)

    async def auctions(
        self, *, rule: Rule | None = None, kind: str | None = None, live_only: bool = True, limit: int = 50
    ) -> Sequence[AuctionView]:
        """Return auctions, newest first."""
        query = {"rule": rule, "kind": kind, "live_only": "true" if live_only else None, "limit": str(limit)}
        return await self._page("/v1/auctions", query, AuctionView)

    async def auction(self, auction: bytes) -> AuctionView:
        """Return an auction as it stands."""
        return await self._get(f"/v1/auctions/{to_hex(auction)}", AuctionView)

    async def auction_document(self, auction: bytes) -> AuctionDocument:
        """Return everything of an auction that was signed, and what follows."""
        return await self._get(f"/v1/auctions/{to_hex(auction)}/document", AuctionDocument)

    async def commit_bid(self, signed: SignedCommitment) -> AuctionView:
        """Hand in a sealed bid; idempotent by its hash."""
        path = f"/v1/auctions/{to_hex(signed.commitment.auction)}/commitments"
        return await self._post(path, signed.model_dump(mode="json"), AuctionView)

    async def place_bid(self, signed: SignedBid) -> AuctionView:
        """Bid, or reveal a sealed bid; idempotent by its hash."""
        path = f"/v1/auctions/{to_hex(signed.bid.auction)}/bids"
        return await self._post(path, signed.model_dump(mode="json"), AuctionView)
