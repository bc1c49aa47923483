"""Sessions: from a question for a price to an agreement that both sides signed, or a delegate for them."""

from typing import Any

from hireling.platform_calls.line import Line
from hireling.platform_views import DelegateKeyView, DelegateStoryView, QuoteView, Side
from hireling.rental.agreement import SignedAgreement
from hireling.rental.appointment import DelegateOrder, SignedAppointment, SignedInquiry
from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.session_document import SessionDocument
from hireling.rental.typed_data import to_hex


class BargainingCalls(Line):
    """What is asked about sessions, and about delegates, who sit in them."""

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
        seen = {"after": str(len(known.offers)), "signatures": str(len(known.signed_by))}
        return await self._long_poll(f"/v1/quotes/{known.quote_id}", seen, QuoteView)

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
