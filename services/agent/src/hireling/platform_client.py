"""The marketplace over HTTP.

One method per call, timeouts everywhere, retries only where repeating does no harm.
"""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from hireling.auctions.bids import SignedBid, SignedCommitment
from hireling.auctions.document import AuctionDocument
from hireling.auctions.notice import Rule, SignedNotice
from hireling.platform_errors import PlatformFault, PlatformNotFound, PlatformRefused, PlatformUnreachable
from hireling.platform_views import (
    AccessView,
    AuctionView,
    DelegateKeyView,
    DelegateStoryView,
    DeviceView,
    FlagView,
    ListingView,
    PlatformView,
    QuoteView,
    RefusalView,
    RentalView,
    Side,
    WalletView,
    WorkView,
)
from hireling.rental.access import BrokerChallenge, SignedBrokerAccess
from hireling.rental.agreement import SignedAgreement
from hireling.rental.anchoring import ReadingProof
from hireling.rental.appointment import DelegateOrder, SignedAppointment, SignedInquiry
from hireling.rental.approval import SignedApproval
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.listing import Heartbeat, SignedListing
from hireling.rental.mandate import SignedRevocation
from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.reading import SignedReading
from hireling.rental.session_document import SessionDocument
from hireling.rental.typed_data import to_hex

TIMEOUT_SECONDS = 10.0
LONG_POLL_SECONDS = 8
# Each call is tried this often in all: what is signed counts once, however often it comes.
TRIES = 3
BETWEEN_TRIES_SECONDS = 0.3
# The code of a repetition that came before the first request was answered.
STILL_ANSWERING = "still_answering"
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """The first page of a list."""

    items: tuple[Item, ...]


class PlatformClient:
    """One marketplace.

    Every method raises PlatformUnreachable, PlatformFault or PlatformRefused (see platform_errors).
    """

    def __init__(self, gateway: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._gateway = gateway.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self._gateway,
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            headers={"User-Agent": "hireling"},
        )

    @property
    def gateway(self) -> str:
        """Return the marketplace's address."""
        return self._gateway

    async def close(self) -> None:
        """Free the connections."""
        await self._http.aclose()

    async def platform(self) -> PlatformView:
        """Return the marketplace's own facts."""
        return await self._get("/v1/platform", PlatformView)

    async def health(self) -> Mapping[str, Any]:
        """Return how the marketplace's services are."""
        return await self._get("/health", dict[str, Any])

    # -- machines --------------------------------------------------------------------------------------------

    async def register(self, registration: Mapping[str, Any]) -> DeviceView:
        """Make a device known; idempotent."""
        return await self._post("/v1/devices", registration, DeviceView)

    async def device(self, device: bytes) -> DeviceView:
        """Return a device."""
        return await self._get(f"/v1/devices/{to_hex(device)}", DeviceView)

    async def heartbeat(self, heartbeat: Heartbeat, signature: bytes) -> None:
        """Say that the device is alive."""
        body = {"heartbeat": heartbeat.model_dump(mode="json"), "signature": to_hex(signature)}
        await self._post(f"/v1/devices/{to_hex(heartbeat.device)}/heartbeats", body, dict[str, Any])

    async def work(self, device: bytes) -> WorkView:
        """Return what waits for the device's agent."""
        return await self._get(f"/v1/devices/{to_hex(device)}/work", WorkView)

    async def publish_listing(self, listing: SignedListing) -> ListingView:
        """Offer the device; replaces its earlier listing."""
        return await self._post("/v1/listings", listing.model_dump(mode="json"), ListingView)

    async def listing(self, listing: str) -> ListingView:
        """Return one listing, by its hash."""
        return await self._get(f"/v1/listings/{listing}", ListingView)

    async def listings(
        self, *, kind: str | None = None, online: bool | None = None, limit: int = 50
    ) -> Sequence[ListingView]:
        """Return listings, the first page."""
        query = {"kind": kind, "online": None if online is None else str(online).lower(), "limit": str(limit)}
        return await self._page("/v1/listings", query, ListingView)

    # -- the broker ------------------------------------------------------------------------------------------

    async def broker_challenge(self) -> BrokerChallenge:
        """Return what a wish to enter the broker must carry."""
        return await self._get("/v1/broker/challenge", BrokerChallenge)

    async def broker_access(self, wish: SignedBrokerAccess) -> AccessView:
        """Ask to be let in at the broker.

        An answer with a password in it is kept nowhere: where it was lost, the same wish again is refused
        (access_replayed), and a new challenge is needed.
        """
        return await self._send(
            "POST",
            "/v1/broker/access",
            AccessView,
            content=wish.model_dump_json(),
            headers={"Content-Type": "application/json"},
        )

    # -- bargaining ------------------------------------------------------------------------------------------

    async def request_quote(self, request: QuoteRequest, signature: bytes) -> QuoteView:
        """Ask a device for its price."""
        body = {"request": request.model_dump(mode="json"), "signature": to_hex(signature)}
        return await self._post("/v1/quotes", body, QuoteView)

    async def quote(self, quote_id: str) -> QuoteView:
        """Return a session as it stands."""
        return await self._get(f"/v1/quotes/{quote_id}", QuoteView)

    async def quote_after(self, known: QuoteView) -> QuoteView:
        """Wait a few seconds for an offer, a signature or a status beyond what is known.

        Return the session either way.
        """
        query = {
            "after": str(len(known.offers)),
            "signatures": str(len(known.signed_by)),
            "wait": str(LONG_POLL_SECONDS),
        }
        return await self._get(
            f"/v1/quotes/{known.quote_id}",
            QuoteView,
            query=query,
            timeout=LONG_POLL_SECONDS + TIMEOUT_SECONDS,
        )

    async def session_document(self, quote_id: str) -> SessionDocument:
        """Return everything of a session that was signed."""
        return await self._get(f"/v1/quotes/{quote_id}/documents", SessionDocument)

    async def make_offer(self, quote_id: str, offer: SignedOffer) -> QuoteView:
        """Put an offer on the table; idempotent by its hash."""
        return await self._post(f"/v1/quotes/{quote_id}/offers", offer.model_dump(mode="json"), QuoteView)

    async def sign_agreement(self, *, quote_id: str, by: Side, offer: bytes, signature: bytes) -> QuoteView:
        """Sign the agreement that the last offer makes; idempotent."""
        body = {"quote_id": quote_id, "by": by, "offer": to_hex(offer), "signature": to_hex(signature)}
        return await self._post("/v1/agreements", body, QuoteView)

    async def agreement(self, rental_id: bytes) -> SignedAgreement:
        """Return what both sides signed."""
        return await self._get(f"/v1/agreements/{to_hex(rental_id)}", SignedAgreement)

    async def hand_in_agreement(self, signed: SignedAgreement) -> None:
        """Make a rental known again to a marketplace that has lost it; idempotent."""
        path = f"/v1/agreements/{to_hex(signed.rental_id)}"
        headers = {"Content-Type": "application/json"}
        body = signed.model_dump_json()
        await self._send("PUT", path, dict[str, Any], content=body, headers=headers)

    async def revocations(self, principal: bytes) -> Sequence[SignedRevocation]:
        """Return a principal's latest words on its agents."""
        return await self._page(f"/v1/principals/{to_hex(principal)}/revocations", {}, SignedRevocation)

    async def revoke(self, word: SignedRevocation) -> SignedRevocation:
        """Stop agents, or let them go on; return the word that counts. Idempotent."""
        return await self._post("/v1/revocations", word.model_dump(mode="json"), SignedRevocation)

    async def delegate_key(self, device: bytes) -> bytes:
        """Have the marketplace make a delegate's key for a device, and return its address."""
        return (await self._post(f"/v1/devices/{to_hex(device)}/delegate", {}, DelegateKeyView)).delegate

    async def appoint(self, order: DelegateOrder) -> SignedAppointment:
        """Appoint the marketplace's delegate for a machine."""
        return await self._post("/v1/delegates", order.model_dump(mode="json"), SignedAppointment)

    async def appointment(self, device: bytes) -> SignedAppointment:
        """Return the appointment that stands for a machine. Raises PlatformNotFound where none does."""
        return await self._get(f"/v1/devices/{to_hex(device)}/delegate", SignedAppointment)

    async def delegate_story(self, quote_id: str, inquiry: SignedInquiry) -> DelegateStoryView:
        """Return what a delegate did in a session, and why, to the owner who signed the inquiry."""
        path = f"/v1/quotes/{quote_id}/decisions"
        return await self._post(path, inquiry.model_dump(mode="json"), DelegateStoryView)

    async def approvals(self, rental_id: bytes) -> Sequence[SignedApproval]:
        """Return what principals said of a rental that needs their word."""
        return await self._page(f"/v1/approvals/{to_hex(rental_id)}", {}, SignedApproval)

    async def approve(self, word: SignedApproval) -> SignedApproval:
        """Let an agent sign a rental above its threshold, or forbid it; the first word counts. Idempotent."""
        return await self._post("/v1/approvals", word.model_dump(mode="json"), SignedApproval)

    # -- auctions --------------------------------------------------------------------------------------------

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

    # -- rentals ---------------------------------------------------------------------------------------------

    async def rental(self, rental_id: bytes) -> RentalView:
        """Return a rental as it stands."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}", RentalView)

    async def rental_after(self, known: RentalView) -> RentalView:
        """Return the rental once it went beyond what is known, or as it is when the long poll ends."""
        if known.progress is None:
            return await self.rental(known.rental_id)
        return await self._get(
            f"/v1/rentals/{to_hex(known.rental_id)}",
            RentalView,
            query={"progress": str(known.progress), "wait": str(LONG_POLL_SECONDS)},
            timeout=LONG_POLL_SECONDS + TIMEOUT_SECONDS,
        )

    async def fund(self, rental_id: bytes, permit: Mapping[str, Any] | None) -> RentalView:
        """Ask the marketplace to relay the opening of the escrow; idempotent."""
        return await self._post(f"/v1/rentals/{to_hex(rental_id)}/funding", {"permit": permit}, RentalView)

    async def submit_ceiling(self, rental_id: bytes, ceiling: SignedCeiling) -> None:
        """Hand in a ceiling where the broker cannot be reached; idempotent."""
        path = f"/v1/rentals/{to_hex(rental_id)}/ceilings"
        await self._post(path, ceiling.model_dump(mode="json"), dict[str, Any])

    async def readings(self, rental_id: bytes, *, after: int, limit: int = 200) -> Sequence[SignedReading]:
        """Return durable readings above number ``after`` (-1 for all), ascending, at most ``limit``."""
        query = {"after": str(after), "limit": str(limit)}
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/readings", query, SignedReading)

    async def reading_proof(self, rental_id: bytes, seq: int) -> ReadingProof:
        """Return what shows a reading to be under its day's root; PlatformRefused until the day is closed."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}/readings/{seq}/proof", ReadingProof)

    async def refusals(self, rental_id: bytes) -> Sequence[RefusalView]:
        """Return what was sent for this rental and does not count."""
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/refusals", {}, RefusalView)

    async def flags(self, rental_id: bytes) -> Sequence[FlagView]:
        """Return what looks wrong about a rental's readings, ascending."""
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/flags", {}, FlagView)

    async def submit_close(self, close: Close, *, by: Side, signature: bytes) -> RentalView:
        """Hand in one side's half of a close; idempotent by side."""
        body = {"close": close.model_dump(mode="json"), "by": by, "signature": to_hex(signature)}
        return await self._post(f"/v1/rentals/{to_hex(close.rental_id)}/closes", body, RentalView)

    async def bill(self, rental_id: bytes) -> SignedBill:
        """Return the bill. Raises PlatformNotFound until the rental is settled."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}/bill", SignedBill)

    async def countersign_bill(self, rental_id: bytes, signature: bytes) -> SignedBill:
        """Hand in the owner's agent's signature under the bill; idempotent."""
        path = f"/v1/bills/{to_hex(rental_id)}/countersignature"
        return await self._post(path, {"signature": to_hex(signature)}, SignedBill)

    # -- money -----------------------------------------------------------------------------------------------

    async def wallet(self, address: bytes) -> WalletView:
        """Return what the chain says of an address."""
        return await self._get(f"/v1/wallets/{to_hex(address)}", WalletView)

    async def faucet(self, address: bytes) -> WalletView:
        """Ask for test money, on a development chain."""
        # Nothing in it tells a repetition from a second wish: that gets the first one's answer by this key.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return await self._post("/v1/faucet", {"address": to_hex(address)}, WalletView, headers=headers)

    async def withdraw(self, authorization: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask the marketplace to relay a signed transfer."""
        return await self._post("/v1/withdrawals", authorization, dict[str, Any])

    # -- the line --------------------------------------------------------------------------------------------

    async def _page(self, path: str, query: Mapping[str, str | None], item: type[Item]) -> list[Item]:
        # Parsed from the text itself: the protocol's models take JSON's lists only there.
        return list((await self._get(path, Page[item], query=query)).items)  # type: ignore[valid-type]

    async def _get(
        self,
        path: str,
        answer: type[Answer],
        *,
        query: Mapping[str, str | None] | None = None,
        timeout: float = TIMEOUT_SECONDS,  # noqa: ASYNC109 - handed to httpx, which enforces it
    ) -> Answer:
        params = {name: value for name, value in (query or {}).items() if value is not None}
        return await self._send("GET", path, answer, params=params, timeout=timeout)

    async def _post(
        self,
        path: str,
        body: Mapping[str, Any],
        answer: type[Answer],
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        headers = {"Content-Type": "application/json", **(headers or {})}
        return await self._send("POST", path, answer, content=json.dumps(body), headers=headers)

    async def _send(self, method: str, path: str, answer: type[Answer], **request: Any) -> Answer:
        response: httpx.Response | None = None
        for left in reversed(range(TRIES)):
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                if not left:
                    reason = str(error) or type(error).__name__
                    raise PlatformUnreachable(f"{self._gateway} does not answer: {reason}") from error
            else:
                if not _is_to_be_asked_again(response) or not left:
                    break
            await asyncio.sleep(BETWEEN_TRIES_SECONDS * (TRIES - left))
        if response is None:
            raise PlatformUnreachable(f"{self._gateway} does not answer")
        _raise_for_problem(response, f"{method} {path}")
        return _parse(TypeAdapter(answer), response.content, path)


def _is_to_be_asked_again(response: httpx.Response) -> bool:
    """Return whether the marketplace is not ready, or still busy with the try whose answer was lost."""
    return response.status_code in {502, 503, 504} or _problem_of(response).get("code") == STILL_ANSWERING


def _problem_of(response: httpx.Response) -> dict[str, Any]:
    """Return what a failed answer says of itself."""
    if response.is_success:
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _raise_for_problem(response: httpx.Response, call: str) -> None:
    if response.is_success:
        return
    status, problem = response.status_code, _problem_of(response)
    code, detail = str(problem.get("code", "")), str(problem.get("detail") or problem.get("title") or "")
    if _is_to_be_asked_again(response):
        raise PlatformUnreachable(f"the marketplace is not ready: {detail or status} ({call})")
    if status >= 500 or not detail:
        raise PlatformFault(f"{call} answered {status} {detail or response.reason_phrase}")
    kind = PlatformNotFound if status == 404 else PlatformRefused
    raise kind(status=status, code=code, detail=detail)


def _parse(adapter: TypeAdapter[Answer], content: bytes, path: str) -> Answer:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise PlatformFault(
            f"{path} answered something else than this version understands: {error}"
        ) from error
