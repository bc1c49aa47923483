"""Whose wish to enter the broker counts: a device's by the key in force, a renter's in its time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hireling.rental.access import NO_RENTAL, BrokerAccess, SignedBrokerAccess
from hireling.rental.broker_users import BARGAINERS, bargainer_user, device_user, renter_user
from hireling.rental.documents import document_hash
from hireling.rental.session_document import QUOTE_ID_BYTES
from hireling.rental.states import State
from hireling.rental.typed_data import Domain, from_hex, to_hex
from services.chassis.database import Database
from services.messages.errors import Conflict, NotFound, Refused
from services.messages.listing import DeviceView
from services.messages.negotiation import QuoteStatus, QuoteView
from services.messages.settlement import PlatformView
from services.metering.access import ALONE_SEATED, SEATED, UNDISTURBED, UNLOCKING, check_wish, goes_first
from services.metering.access_store import AccessStore
from services.metering.store import Store

NO_METER = "0x"

# (service, method, arguments): what a neighbour answers.
Ask = Callable[..., Any]


@dataclass(frozen=True)
class Applicant:
    """Who wants to be let in, by which name, with the key that must sign.

    `rental_id` is None for the device itself; for a bargainer it is the hash of its question.
    """

    username: str
    device: str
    signer: bytes
    rental_id: str | None

    @property
    def bargains(self) -> bool:
        """Return whether it is a renter's agent that has no rental yet."""
        return self.username.startswith(BARGAINERS)


class Applicants:
    """Finds out who a wish is of, and checks it."""

    def __init__(self, database: Database, ask: Ask) -> None:
        self._database = database
        self._ask = ask

    def check(self, wish: SignedBrokerAccess, *, broker: str, now: datetime) -> Applicant:
        """Return who wishes to enter. Raises Refused, Conflict where another sits there, NotFound."""
        applicant = self._applicant(wish.access, now=now)
        terms = PlatformView.model_validate(self._ask("settlement", "platform_terms"), strict=False)
        domain = Domain(chain_id=terms.chain_id, escrow=terms.escrow)
        check_wish(wish, broker=broker, signer=applicant.signer, domain=domain, now=now)
        return applicant

    def _applicant(self, access: BrokerAccess, *, now: datetime) -> Applicant:
        device = to_hex(access.device)
        if access.rental_id != NO_RENTAL:
            return self._renter(device, to_hex(access.rental_id), now=now) or self._bargainer(access)
        view = DeviceView.model_validate(self._ask("listing", "get_device", device), strict=False)
        if not view.registered:
            raise Refused("device_unregistered", f"the chain's registry does not hold device {device} yet")
        signer = self._meter_in_force(device, registered=view.meter)
        return Applicant(device_user(device), device, signer, rental_id=None)

    def _meter_in_force(self, device: str, *, registered: bytes) -> bytes:
        """Return the device's key: the one it registered with, unless the chain changed it since."""
        with self._database.looks() as session:
            account = AccessStore(session).find(device_user(device))
        known = account.meter if account is not None else None
        if known == NO_METER:
            raise Refused("meter_revoked", f"the owner of device {device} revoked its key")
        return registered if known is None else from_hex(known)

    def _renter(self, device: str, rental_id: str, *, now: datetime) -> Applicant | None:
        """Return who rents the device; None where there is no such rental."""
        # One by one: what is asked of the neighbours below is of later moments anyway.
        with self._database.looks() as session:
            seated = AccessStore(session).find(renter_user(device))
            holder = seated.rental_id if seated is not None and seated.password_hash is not None else None
            store = Store(session)
            rentals = store.rentals([rental_id, *([] if holder is None else [holder])])
            is_alone = store.unfinished_rentals_of(device) == [rental_id]
        rental = rentals.get(rental_id)
        if rental is None:
            return None
        if rental.device != device:
            raise Refused("other_device", f"rental {rental_id} is of device {rental.device}")
        state = self._state_of(rental_id)
        if state not in SEATED and not (state in ALONE_SEATED and is_alone):
            raise Refused("rental_not_in_use", f"rental {rental_id} is {state}", state=state)
        if holder not in {None, rental_id}:
            sitting = rentals.get(str(holder))
            due = sitting is not None and goes_first(sitting.start_at, rental.start_at, now=now)
            if self._state_of(str(holder)) in (UNDISTURBED | UNLOCKING if due else UNDISTURBED):
                raise Conflict("seat_taken", f"device {device} serves another rental", rental_id=holder)
        return Applicant(renter_user(device), device, from_hex(rental.renter_agent), rental_id=rental_id)

    def _bargainer(self, access: BrokerAccess) -> Applicant:
        """Return whose agent asked this question, for as long as its session is open."""
        asked = to_hex(access.rental_id)
        try:
            view = self._ask("negotiation", "get_quote", access.rental_id[:QUOTE_ID_BYTES].hex())
        except NotFound as error:
            raise NotFound(
                "rental_not_found", f"no rental and no question {asked}", rental_id=asked
            ) from error
        quote = QuoteView.model_validate(view, strict=False)
        if document_hash(quote.request) != access.rental_id or quote.request.device != access.device:
            raise Refused("other_device", f"quote {quote.quote_id} is of another question or device")
        if quote.status is not QuoteStatus.OPEN:
            raise Refused("quote_closed", f"quote {quote.quote_id} is {quote.status}", status=quote.status)
        agent = quote.request.renter_agent
        return Applicant(bargainer_user(agent), to_hex(access.device), agent, rental_id=asked)

    def _state_of(self, rental_id: str) -> State:
        return State(self._ask("settlement", "get_rental", rental_id)["state"])
