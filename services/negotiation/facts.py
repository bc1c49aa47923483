"""What a question is held against: its listing, its device, the platform's terms, as the neighbours say.

For many questions at once: each neighbour is asked once for each thing, and no more once it did not answer.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hireling.rental.listing import ListingDocument
from hireling.rental.offer import PlatformTerms
from hireling.rental.typed_data import to_hex
from services.messages.errors import HirelingError, OutcomeUnknown, Unavailable
from services.messages.listing import DeviceView, ListingView
from services.messages.negotiation import SignedQuoteRequest
from services.messages.settlement import PlatformView
from services.negotiation.asking import check_question
from services.negotiation.session import QuoteSession

Call = Callable[..., Any]
# Nobody knows when a pause ends.
RETRY_AFTER_SECONDS = 60


class Facts:
    """What the neighbours said during one call; ``call(service, method, *arguments)`` asks them."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._said: dict[tuple[str, ...], Any] = {}
        self._terms: PlatformTerms | None = None
        self._silent: dict[str, Unavailable] = {}
        self._paused: str | None = None

    @property
    def terms(self) -> PlatformTerms:
        """Return the terms on which this platform's rentals are signed."""
        if self._terms is None:
            platform = PlatformView.model_validate(self._ask("settlement", "platform_terms"), strict=False)
            self._paused = platform.opens_paused
            self._terms = PlatformTerms(
                chain_id=platform.chain_id,
                escrow=platform.escrow,
                token=platform.token.address,
                fee_bps=platform.fee_bps,
                fee_to=platform.fee_to,
                arbiter=platform.arbiter,
            )
        return self._terms

    def require_opens(self) -> None:
        """Raise Unavailable("opens_paused") while the operator has new rentals paused."""
        _ = self.terms
        if self._paused is not None:
            raise Unavailable(
                "opens_paused",
                f"no new rentals are taken now: {self._paused}",
                reason=self._paused,
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )

    def session_for(
        self, signed: SignedQuoteRequest, *, quote_id: str, now: datetime, patience: timedelta
    ) -> QuoteSession:
        """Return the session that this question opens, on the terms that hold now.

        Raises Refused or Conflict for a question that opens none, NotFound for an unknown listing or device,
        Unavailable where a neighbour did not answer, or no new rentals are taken.
        """
        self.require_opens()
        request, terms = signed.request, self.terms
        listing: ListingView = self._view(ListingView, "get_listing", request.listing)
        device: DeviceView = self._view(DeviceView, "get_device", request.device)
        check_question(signed, listing=listing, device=device, terms=terms, now=now)
        return QuoteSession(
            quote_id=quote_id,
            request=request,
            listing=listing.document,
            mandate=device.mandate,
            terms=terms,
            listing_signature=listing.signature,
            request_signature=signed.signature,
            answer_by=now + patience,
        )

    def device(self, device: bytes) -> DeviceView:
        """Return a device. Raises NotFound for an unknown one, Unavailable."""
        found: DeviceView = self._view(DeviceView, "get_device", device)
        return found

    def money_held(self, rental_id: bytes) -> str:
        """Return where the chain says a rental's money is: "none", "open" or "done". Raises Unavailable."""
        return str(self._ask("settlement", "money_held", to_hex(rental_id)))

    def offered_by(self, device: bytes) -> ListingDocument | None:
        """Return what a device lists now, if anything. Raises NotFound for an unknown device, Unavailable."""
        known = self.device(device)
        if known.listing is None:
            return None
        listing: ListingView = self._view(ListingView, "get_listing", known.listing)
        return listing.document

    def _view(self, kind: type[ListingView | DeviceView], method: str, name: bytes) -> Any:
        key = (method, to_hex(name))
        if key not in self._said:
            try:
                self._said[key] = kind.model_validate(self._ask("listing", *key), strict=False)
            except HirelingError as error:
                self._said[key] = error
        found = self._said[key]
        if isinstance(found, HirelingError):
            raise found
        return found

    def _ask(self, service: str, method: str, *arguments: str) -> Any:
        if service in self._silent:
            raise self._silent[service]
        try:
            return self._call(service, method, *arguments)
        except OutcomeUnknown as error:
            # It was only asked: whatever became of the call, nothing was done.
            self._silent[service] = Unavailable(error.code, error.detail, **error.fields)
        except Unavailable as error:
            self._silent[service] = error
        raise self._silent[service]
