"""What a renter's session key allows: never above the agreement, never less than before."""

from hireling.rental.ceiling import Ceiling, SignedCeiling, check_not_falling
from hireling.rental.errors import CeilingRefused, SignatureMismatch
from hireling.rental.signing import verify
from hireling.rental.typed_data import digest
from services.metering.usage import Terms


def check_ceiling(terms: Terms, signed: SignedCeiling) -> None:
    """Refuse, by CeilingRefused, a ceiling that the agreement forbids or its session key did not sign."""
    ceiling = signed.ceiling
    if ceiling.max_claimable > terms.max_total:
        raise CeilingRefused("above_total", f"{ceiling.max_claimable} is above the total {terms.max_total}")
    if ceiling.ack_amount > ceiling.max_claimable:
        raise CeilingRefused(
            "acknowledges_more", f"{ceiling.ack_amount} is acknowledged, {ceiling.max_claimable} claimable"
        )
    try:
        verify(terms.renter_agent, digest(terms.domain, ceiling), signed.signature)
    except SignatureMismatch as error:
        raise CeilingRefused("wrong_key", error.detail) from error


def is_higher(new: Ceiling, *, than: Ceiling | None) -> bool:
    """Return whether `new` allows more.

    False where it allows the same or less in every respect, as an old one that comes late.

    Raises CeilingRefused("ceiling_fell") where it allows more in one respect and less in another.
    """
    if than is None:
        return True
    if new.max_claimable <= than.max_claimable and new.ack_amount <= than.ack_amount:
        return False
    check_not_falling(than, new)
    return True
