"""An agreement that this platform lost is taken back from whoever still has it.

The platform was restored from a backup, and what was agreed since is with the two sides alone: the chain has
its money and its hash, never its terms. What both sides signed proves itself. It is one of ours where its
money is in our escrow, on our terms, for a machine that is registered here, by whoever speaks for its owner:
as much as that owner could have agreed to here in one move. Nothing is relayed for it that was not paid for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from hireling.rental.agreement import SignedAgreement
from hireling.rental.errors import RentalError
from hireling.rental.listing import ListingDocument
from hireling.rental.mandate import SignedMandate
from hireling.rental.offer import PlatformTerms
from hireling.rental.typed_data import to_hex
from services.chassis.database import as_if_alone
from services.chassis.outbox import add_event
from services.messages.errors import Conflict, Refused
from services.messages.events.negotiation import Agreed
from services.messages.listing import DeviceView
from services.negotiation import calendar, mandates, store
from services.negotiation.facts import Facts


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An agreement that may be taken back, with what its device says now."""

    signed: SignedAgreement
    mandate: SignedMandate
    listing: ListingDocument | None


def checked(signed: SignedAgreement, facts: Facts) -> Lost:
    """Return what may be taken back.

    Raises Refused for what is none of ours, Conflict where its money is not in the escrow, NotFound for a
    device that is not registered here, Unavailable.
    """
    try:
        signed.check_signed()
    except RentalError as error:
        raise Refused(error.code, error.detail) from error
    _check_terms(signed, facts.terms)
    _check_money(signed, facts.money_held(signed.rental_id))
    device = facts.device(signed.offer.device)
    _check_owner(signed, device)
    return Lost(signed=signed, mandate=device.mandate, listing=facts.offered_by(signed.offer.device))


def take_back(session: Session, lost: Lost, *, hold: timedelta, now: datetime) -> None:
    """Make a rental known again to everybody, as if it had just been agreed; again changes nothing.

    Raises Refused where the owner stopped its agent, Conflict where its session led elsewhere.
    """
    signed = lost.signed
    if store.find_agreement(session, to_hex(signed.rental_id)) is not None:
        return
    # Both sides may hand it in at once, and each of these rows is made once.
    with as_if_alone():
        mandates.count_again(session, signed, lost.mandate)
        calendar.hold_again(session, signed, lost.listing, hold=hold, now=now)
        store.take_back(session, signed, now=now)
        session.flush()
    agreed = Agreed(quote_id=signed.offer.quote_id, rental_id=signed.rental_id, signed=signed)
    add_event(session, agreed, now=now)


def _check_terms(signed: SignedAgreement, terms: PlatformTerms) -> None:
    for name in PlatformTerms.model_fields:
        if getattr(signed.offer, name) != getattr(terms, name):
            detail = f"the agreement's {name} is not this platform's"
            raise Refused("not_the_platforms_terms", detail, term=name)


def _check_money(signed: SignedAgreement, money: str) -> None:
    rental_id = to_hex(signed.rental_id)
    if money == "none":
        detail = f"as far as the chain was read, the escrow was not opened for rental {rental_id}"
        raise Conflict("not_opened", detail, rental_id=rental_id)
    if money == "done":
        detail = f"the escrow has paid out rental {rental_id}: nothing is left to do for it"
        raise Conflict("already_paid_out", detail, rental_id=rental_id)


def _check_owner(signed: SignedAgreement, device: DeviceView) -> None:
    """Raise Refused unless it names the machine's own owner and agent: anybody may name anybody's machine."""
    offer = signed.offer
    if (offer.owner, offer.owner_agent) != (device.owner, device.owner_agent):
        raise Refused(
            "not_the_owners", "its owner or its agent is not the device's, as it is registered here"
        )
