"""What the listing service holds of a person: an owner's machines and what they were offered for."""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from services.chassis.people import Held, goes_where, stays
from services.listing.models import Device, ListingRow

OWNED = "whose machine signed the readings of bills; the chain's registry says the same"
OFFERED = "it is offered now: it lapses within a day of the machine's last word"

TABLES: Sequence[Held] = (
    goes_where(
        ListingRow,
        lambda person: col(ListingRow.device).in_(person.devices),
        lambda: col(ListingRow.listing).not_in(
            select(Device.listing).where(col(Device.listing).is_not(None))
        ),
        else_kept=OFFERED,
    ),
    stays(Device, lambda person: col(Device.device).in_(person.devices), OWNED),
)


def devices_of(session: Session, owner: str) -> list[str]:
    """Return the machines that a wallet owns."""
    return list(
        session.exec(select(Device.device).where(Device.owner == owner).order_by(Device.device)).all()
    )
