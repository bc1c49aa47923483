"""Who may ask for a price.

A renter's session key, about a listing that counts now, of a device that is alive. Pure rules.
"""

from datetime import datetime, timedelta

from hireling.rental.errors import RentalError
from hireling.rental.offer import PlatformTerms, quote_of
from hireling.rental.signing import verify
from hireling.rental.table import START_STEP
from hireling.rental.typed_data import digest
from services.messages.errors import Conflict, Refused
from services.messages.listing import DeviceView, ListingView
from services.messages.negotiation import SignedQuoteRequest

# Starts are rounded down to a quarter of an hour, so a start of this very moment may be that old.
EARLIEST_START = timedelta(seconds=START_STEP)
# Where the listing says nothing of bookings.
LATEST_START = timedelta(hours=24)


def check_question(
    signed: SignedQuoteRequest,
    *,
    listing: ListingView,
    device: DeviceView,
    terms: PlatformTerms,
    now: datetime,
) -> None:
    """Raise Refused for a question that can never be answered, Conflict for one that could be later."""
    request, document = signed.request, listing.document
    try:
        verify(request.renter_agent, digest(terms.domain, quote_of(request)), signed.signature)
    except RentalError as error:
        raise Refused(
            "signature_mismatch", f"the renter's agent did not sign this request: {error}"
        ) from error
    if request.device != document.device:
        raise Refused("other_device", "the listing is another device's")
    if not 0 < request.seconds <= document.max_seconds:
        detail = f"{request.seconds} s asked, 1 to {document.max_seconds} s offered"
        raise Refused("bad_duration", detail, seconds=request.seconds, longest=document.max_seconds)
    ahead = timedelta(seconds=document.books_ahead) or LATEST_START
    _check_start(request.start_at, now=now, ahead=ahead)
    _check_counts(listing, device, now=now)


def _check_start(start_at: int, *, now: datetime, ahead: timedelta) -> None:
    earliest, latest = int((now - EARLIEST_START).timestamp()), int(now.timestamp() + ahead.total_seconds())
    if not earliest <= start_at <= latest:
        detail = f"a rental starts between {earliest} and {latest}, not at {start_at}"
        raise Refused("bad_start", detail, start_at=start_at, earliest=earliest, latest=latest)


def _check_counts(listing: ListingView, device: DeviceView, *, now: datetime) -> None:
    if device.listing != listing.listing:
        current = f"0x{device.listing.hex()}" if device.listing else None
        raise Conflict("listing_replaced", "the device offers something else by now", listing=current)
    if listing.document.valid_until <= now.timestamp():
        detail = f"the listing was good until {listing.document.valid_until}"
        raise Conflict("listing_expired", detail, valid_until=listing.document.valid_until)
    if not listing.registered:
        raise Conflict(
            "device_not_registered", "the device is on its way to the chain's registry: try again in a moment"
        )
    if not listing.online:
        seen = listing.last_seen.isoformat() if listing.last_seen else None
        detail = f"the device was last seen {seen}" if seen else "the device was never seen"
        raise Conflict("device_offline", detail, last_seen=seen)
