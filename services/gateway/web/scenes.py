"""What the pages show, asked from the services and put in words.

A service that does not answer leaves its part empty, not the page.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeVar

from hireling.rental.agreement import SignedAgreement
from hireling.rental.money import Token, format_amount
from hireling.rental.reading import SignedReading
from services.chassis.rpc import RpcClient
from services.gateway.rpc import Neighbours, wire
from services.gateway.streams import is_over
from services.gateway.web.cards import BillCard, HomeScene, ListingCard, RentalCard, RentalScene
from services.gateway.web.words import (
    all_in_words,
    counter_words,
    duration_words,
    moment_words,
    name_words,
    price_words,
    short,
)
from services.messages.errors import Conflict, HirelingError, NotFound, OutcomeUnknown, Unavailable
from services.messages.listing import DeviceView, ListingQuery, ListingView
from services.messages.metering import Refusal
from services.messages.page import Page
from services.messages.settlement import BillSummary, FlagView, PlatformView, RentalQuery, RentalView

SHOWN = 20
LAST_READINGS = 20
AGREEMENT_SECONDS = 5.0

Answer = TypeVar("Answer")


def home_scene(here: Neighbours) -> HomeScene:
    """Return what is offered, what runs and what was paid."""
    token = _answered(lambda: token_of(here))
    found = _answered(lambda: _listings(here))
    titles = {listing.document.device: listing.document.title for listing in found or ()}
    if token is None:
        return HomeScene(listings=None, rentals=None, bills=None)
    return HomeScene(
        listings=None
        if found is None
        else tuple(_listing_card(listing, token) for listing in _alive_first(found)),
        rentals=_answered(lambda: _current_rentals(here, token, titles)),
        bills=_answered(lambda: _bills(here, token, titles)),
    )


def rental_scene(here: Neighbours, rental_id: str) -> RentalScene:
    """Return one rental with its last readings, its flags and its refusals.

    Raises NotFound, and whatever keeps settlement from answering.
    """
    rental = RentalView.model_validate(here.call("settlement", "get_rental", rental_id), strict=False)
    token = token_of(here)
    title = _answered(lambda: _title(here, rental.device)) or short(rental.device)
    card = _rental_card(here, rental, token, title)
    return RentalScene(
        rental=card,
        readings=_answered(lambda: _last_readings(here, rental, token)),
        flags=_answered(lambda: _flags(here, rental_id)),
        refusals=_answered(lambda: _refusals(here, rental_id)),
    )


def token_of(here: Neighbours) -> Token:
    """Return the token that rentals are paid in here."""
    platform = PlatformView.model_validate(here.call("settlement", "platform_terms"), strict=False)
    named = platform.token
    return Token(
        address=named.address, symbol=named.symbol, decimals=named.decimals, chain_id=platform.chain_id
    )


def _answered(ask: Callable[[], Answer]) -> Answer | None:
    try:
        return ask()
    except (Unavailable, OutcomeUnknown):
        return None


def _listings(here: Neighbours) -> tuple[ListingView, ...]:
    page = here.call("listing", "search_listings", wire(ListingQuery(limit=SHOWN)))
    return Page[ListingView].model_validate(page, strict=False).items


def _alive_first(listings: tuple[ListingView, ...]) -> list[ListingView]:
    return sorted(listings, key=lambda listing: not listing.online)


def _listing_card(listing: ListingView, token: Token) -> ListingCard:
    document = listing.document
    place = document.place
    return ListingCard(
        title=document.title,
        kind=document.kind,
        place=", ".join(part for part in (place.city, place.country) if part) if place else "",
        online=listing.online,
        registered=listing.registered,
        price=tuple(price_words(document.tariff, token)),
        all_in=all_in_words(
            document.tariff, token, deposit=document.deposit, longest_seconds=document.max_seconds
        ),
        limits=f"up to {duration_words(document.max_seconds)}",
        device=short(document.device),
        link=f"/v1/listings/0x{listing.listing.hex()}",
    )


def _current_rentals(here: Neighbours, token: Token, titles: Mapping[bytes, str]) -> tuple[RentalCard, ...]:
    page = here.call("settlement", "list_rentals", wire(RentalQuery(open_only=True, limit=SHOWN)))
    rentals = Page[RentalView].model_validate(page, strict=False).items
    return tuple(
        _rental_card(here, rental, token, titles.get(rental.device) or short(rental.device))
        for rental in rentals
    )


def _rental_card(here: Neighbours, rental: RentalView, token: Token, title: str) -> RentalCard:
    pay, rules = rental.agreement.pay, rental.agreement.rules
    return RentalCard(
        rental_id=f"0x{rental.rental_id.hex()}",
        name=short(rental.rental_id),
        title=title,
        state=rental.state.value,
        finished=is_over(rental.state, billed=rental.bill),
        counters=_counters(here, rental),
        cost=format_amount(rental.amount_due, token),
        ceiling=format_amount(rental.ceiling, token),
        most=format_amount(pay.max_total, token),
        per_mille_used=_per_mille(rental.amount_due, pay.max_total),
        per_mille_allowed=_per_mille(rental.ceiling, pay.max_total),
        readings=0 if rental.seq is None else rental.seq + 1,
        refusals=rental.refusals,
        deadline=moment_words(rental.deadline) if rental.deadline else "",
        facts=(
            ("Used", format_amount(rental.amount_due, token)),
            ("Acknowledged by the renter", format_amount(rental.acknowledged, token)),
            ("Ceiling signed by the renter", format_amount(rental.ceiling, token)),
            ("At most", format_amount(pay.max_total, token)),
            ("Deposit", format_amount(rules.deposit, token)),
            ("In escrow", format_amount(rental.funded, token)),
            ("Paid by the escrow", format_amount(rental.claimed, token)),
            ("Fee in it", format_amount(rental.fee, token)),
            ("Returned to the renter", format_amount(rental.refund, token)),
            ("Device", short(rental.device)),
            ("Owner", short(rental.owner)),
            ("Renter", short(rental.renter)),
            ("Ends at the latest", moment_words(rules.end_by)),
        ),
        bill=rental.bill,
        transactions=tuple(
            {
                "kind": transaction.kind,
                "status": transaction.status,
                "hash": short(transaction.hash) if transaction.hash else "",
                "block": "" if transaction.block is None else str(transaction.block),
                "gas": "" if transaction.gas_used is None else str(transaction.gas_used),
                "reason": transaction.reason or "",
            }
            for transaction in rental.transactions
        ),
    )


def _per_mille(amount: int, of: int) -> int:
    return min(1000, amount * 1000 // of) if of else 0


def _counters(here: Neighbours, rental: RentalView) -> tuple[tuple[str, str], ...]:
    try:
        agreed = agreement_of(here.caller, f"0x{rental.rental_id.hex()}")
    except HirelingError:
        return tuple((f"counter {place}", str(value)) for place, value in enumerate(rental.counters))
    specs = agreed.offer.tariff.counters
    values = rental.counters or (0,) * len(specs)
    return tuple(
        (name_words(spec), counter_words(spec, value)) for spec, value in zip(specs, values, strict=True)
    )


@lru_cache(maxsize=1024)
def agreement_of(caller: RpcClient, rental_id: str) -> SignedAgreement:
    """Return what both sides signed; it never changes, so it is asked once."""
    signed = caller.call("negotiation", "get_agreement", rental_id, timeout=AGREEMENT_SECONDS)
    return SignedAgreement.model_validate(signed, strict=False)


def _title(here: Neighbours, device: bytes) -> str | None:
    try:
        found = DeviceView.model_validate(
            here.call("listing", "get_device", f"0x{device.hex()}"), strict=False
        )
        if found.listing is None:
            return None
        listing = here.call("listing", "get_listing", f"0x{found.listing.hex()}")
    except NotFound:
        return None
    return ListingView.model_validate(listing, strict=False).document.title


def _last_readings(here: Neighbours, rental: RentalView, token: Token) -> tuple[dict[str, str], ...]:
    if rental.seq is None:
        return ()
    rental_id = f"0x{rental.rental_id.hex()}"
    try:
        page = here.call(
            "metering", "get_readings", rental_id, max(-1, rental.seq - LAST_READINGS), LAST_READINGS
        )
    except Conflict:
        # It was over so long ago that its readings are no longer kept.
        return ()
    readings = Page[SignedReading].model_validate(page, strict=False).items
    specs = agreement_of(here.caller, rental_id).offer.tariff.counters
    return tuple(
        {
            "seq": str(signed.reading.seq),
            "event": signed.reading.sample.event.name.lower(),
            "counters": ", ".join(
                counter_words(spec, value)
                for spec, value in zip(specs, signed.reading.sample.counters, strict=True)
            ),
            "due": format_amount(signed.reading.amount_due, token),
            "at": moment_words(signed.reading.sample.wall_ms // 1000),
        }
        for signed in reversed(readings)
    )


def _flags(here: Neighbours, rental_id: str) -> tuple[FlagView, ...]:
    found = here.call("settlement", "get_flags", rental_id)
    return tuple(FlagView.model_validate(flag, strict=False) for flag in found)


def _refusals(here: Neighbours, rental_id: str) -> tuple[Refusal, ...]:
    told = [
        *here.call("metering", "get_refusals", rental_id),
        *here.call("settlement", "get_refusals", rental_id),
    ]
    return tuple(
        sorted(
            (Refusal.model_validate(refusal, strict=False) for refusal in told),
            key=lambda refusal: refusal.at,
        )
    )


def _bills(here: Neighbours, token: Token, titles: Mapping[bytes, str]) -> tuple[BillCard, ...]:
    page = here.call("settlement", "list_bills", None, SHOWN)
    bills = Page[BillSummary].model_validate(page, strict=False).items
    return tuple(
        BillCard(
            rental_id=f"0x{bill.rental_id.hex()}",
            name=short(bill.rental_id),
            title=titles.get(bill.device) or short(bill.device),
            total=format_amount(bill.total, token),
            issued=moment_words(bill.issued_at),
            countersigned=bill.countersigned,
        )
        for bill in bills
    )
