"""Who is let in at the broker, and who no longer is: the changes of its accounts, shared by entrypoints."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import Session

from hireling.rental.access import SignedBrokerAccess
from hireling.rental.broker_users import device_user, renter_user
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.messages.errors import Refused, Unavailable
from services.messages.events.settlement import MeterChanged
from services.messages.metering import BrokerAccessView
from services.metering.access import hash_of, new_password
from services.metering.access_store import AccessStore
from services.metering.applying import Applicant
from services.metering.models import BrokerAccount, Rental
from services.metering.settings import MeteringSettings

# Longer than a challenge holds, so that none counts twice.
BARGAINERS_KEPT = timedelta(minutes=10)

_log = get_logger(__name__)


def let_in(
    session: Session,
    wish: SignedBrokerAccess,
    applicant: Applicant,
    *,
    now: datetime,
    settings: MeteringSettings,
) -> BrokerAccessView:
    """Return a new password for a checked wish; the last one ends with it.

    Raises Refused for a challenge that was answered before, Unavailable where too many bargain.
    """
    seconds = settings.bargainer_seconds if applicant.bargains else settings.access_seconds
    store = AccessStore(session)
    account = store.lock(applicant.username, device=applicant.device)
    at_ms = wish.access.at_ms
    if at_ms <= account.asked_ms:
        raise Refused("access_replayed", "this challenge, or a later one, was answered before")
    _check_still(session, applicant, account)
    if applicant.bargains:
        _check_room(store, account, now=now, most=settings.bargainers)
    password = new_password()
    account.asked_ms = at_ms
    account.signer, account.rental_id = to_hex(applicant.signer), applicant.rental_id
    account.password_hash = hash_of(password)
    account.expires_at = now + timedelta(seconds=seconds)
    store.note_change(account)
    _log.info("broker_let_in", username=applicant.username, rental_id=applicant.rental_id)
    return BrokerAccessView(username=applicant.username, password=password, seconds=seconds)


def _check_still(session: Session, applicant: Applicant, account: BrokerAccount) -> None:
    """Raise Refused where what the applicant was checked against has changed while it was asked for."""
    if applicant.rental_id is None:
        if account.meter not in {None, to_hex(applicant.signer)}:
            raise Refused("signature_mismatch", "the device's key was changed meanwhile")
        return
    rental = session.get(Rental, applicant.rental_id)
    if rental is not None and rental.finished_at is not None:
        raise Refused("rental_over", f"rental {applicant.rental_id} is over")


def _check_room(store: AccessStore, account: BrokerAccount, *, now: datetime, most: int) -> None:
    """Raise Unavailable for one agent too many: a question costs nothing, a longer list of users does."""
    stands = account.expires_at is not None and account.expires_at > now
    if not stands and store.standing_bargainers(now=now) >= most:
        raise Unavailable("too_many_bargainers", f"{most} agents bargain over MQTT: please do it over HTTP")


def note_meter(session: Session, event: MeterChanged) -> None:
    """Take the chain's word for a device's key, and end what another key was let in for."""
    store, device = AccessStore(session), to_hex(event.device)
    account = store.lock(device_user(device), device=device)
    if account.meter_seen_at is not None and event.seen_at < account.meter_seen_at:
        return
    account.meter, account.meter_seen_at = to_hex(event.meter), event.seen_at
    if account.signer != account.meter:
        _shut_out(store, account)


def end_seats(session: Session, devices: Mapping[str, str]) -> None:
    """End what the renters of these rentals were let in for at their devices, where it is still theirs."""
    store = AccessStore(session)
    for account in store.lock_all({renter_user(device) for device in devices.values()}):
        if account.rental_id in devices:
            _shut_out(store, account)


def forget_bargainers(database: Database, *, now: datetime) -> None:
    """Forget the agents whose time was over long ago: each session may have brought a key of its own."""
    with database.queue_work() as session:
        AccessStore(session).forget_bargainers(before=now - BARGAINERS_KEPT)


def _shut_out(store: AccessStore, account: BrokerAccount) -> None:
    if account.password_hash is None:
        return
    account.password_hash = account.expires_at = None
    store.note_change(account)
    _log.info("broker_shut_out", username=account.username, rental_id=account.rental_id)
