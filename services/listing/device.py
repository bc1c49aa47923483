"""Who may take part.

A device that proved its meter, with its owner's mandate for the agent that speaks for it. Pure rules.
"""

from datetime import datetime, timedelta

from hireling.rental.agreement import device_id
from hireling.rental.close import Possession
from hireling.rental.errors import RentalError
from hireling.rental.mandate import SignedMandate
from hireling.rental.signing import verify
from hireling.rental.typed_data import Domain, digest
from services.messages.errors import Refused
from services.messages.listing import Registration, SignedHeartbeat

ADDRESS_BYTES = 20
# The relayer needs minutes; a proof that stays good for longer could be registered long after its owner
# forgot it.
LONGEST_PROOF = timedelta(days=7)


def admit(registration: Registration, *, escrow: Domain, registry: Domain, now: datetime) -> bytes:
    """Return the device's id.

    Raises Refused unless the meter proved possession for this owner on this registry, not too far ahead, and
    the owner's mandate names this agent and holds now.
    """
    if len(registration.owner) != ADDRESS_BYTES:
        raise Refused(
            "owner_not_an_address",
            f"the registry knows owners by address: 20 bytes, not {len(registration.owner)}",
            length=len(registration.owner),
        )
    _check_deadline(registration.valid_until, now=now)
    device = device_id(registration.meter)
    possession = Possession(
        owner=registration.owner,
        registry=registry.escrow,
        device=device,
        metadata=registration.metadata_hash,
        valid_until=registration.valid_until,
    )
    try:
        verify(registration.meter, digest(registry, possession), registration.possession)
    except RentalError as error:
        raise Refused("possession_not_proven", f"the meter did not sign for this owner: {error}") from error
    check_mandate(
        registration.mandate,
        owner=registration.owner,
        owner_agent=registration.owner_agent,
        domain=escrow,
        now=now,
    )
    return device


def check_mandate(
    mandate: SignedMandate, *, owner: bytes, owner_agent: bytes, domain: Domain, now: datetime
) -> None:
    """Raise Refused unless this owner's mandate names this agent and holds now."""
    if mandate.principal != owner or mandate.mandate.agent != owner_agent:
        raise Refused("mandate_of_others", "the mandate is not this owner's for this agent")
    try:
        mandate.check(domain, now)
    except RentalError as error:
        raise Refused("mandate_invalid", str(error)) from error


def check_heartbeat(
    signed: SignedHeartbeat, *, device: bytes, meter: bytes, domain: Domain, now: datetime, skew: timedelta
) -> None:
    """Raise Refused unless the device's own meter said, at about this time, that it is alive."""
    heartbeat = signed.heartbeat
    if heartbeat.device != device:
        raise Refused("wrong_device", f"the heartbeat is of device 0x{heartbeat.device.hex()}")
    seconds_off = int(abs(heartbeat.at - now.timestamp()))
    if seconds_off > skew.total_seconds():
        raise Refused(
            "clock_off",
            f"the heartbeat's time is {seconds_off} s from ours, more than {int(skew.total_seconds())} s",
            seconds_off=seconds_off,
        )
    try:
        verify(meter, digest(domain, heartbeat), signed.signature)
    except RentalError as error:
        raise Refused(
            "signature_mismatch", f"the device's meter did not sign this heartbeat: {error}"
        ) from error


def _check_deadline(valid_until: int, *, now: datetime) -> None:
    if valid_until <= now.timestamp():
        raise Refused(
            "possession_expired", f"the proof was good until {valid_until}", valid_until=valid_until
        )
    latest = int((now + LONGEST_PROOF).timestamp())
    if valid_until > latest:
        raise Refused(
            "possession_too_long",
            f"the proof is good until {valid_until}, later than {latest}",
            valid_until=valid_until,
            latest=latest,
        )
