"""Ceilings: what the renter's session key lets the owner claim.

Each is signed a block of use ahead of what it acknowledges.
"""

from hireling.rental.errors import CeilingRefused
from hireling.rental.reading import Reading, reading_hash
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.terms import Agreement
from hireling.rental.typed_data import Bytes32, Document, Domain, HexBytes, TypedData, Uint96, digest, to_hex

NOTHING_ACKNOWLEDGED = bytes(32)


class Ceiling(TypedData):
    """The renter's word: at most ``max_claimable`` so far, of which ``ack_amount`` is agreed.

    Both cumulative, in base units.

    ``ack_reading`` is the hash of the acknowledged reading, zero for none.
    """

    rental_id: Bytes32
    max_claimable: Uint96
    ack_amount: Uint96
    ack_reading: Bytes32


class SignedCeiling(Document):
    """A ceiling and the session key's signature; its domain is the rental's."""

    ceiling: Ceiling
    signature: HexBytes

    def check(self, domain: Domain, agreement: Agreement) -> None:
        """Raise CeilingRefused unless it is within the agreement.

        Raises SignatureMismatch unless the renter's agent signed it.
        """
        ceiling = self.ceiling
        if ceiling.rental_id != digest(domain, agreement):
            raise CeilingRefused("unknown_rental", f"the ceiling is of rental {to_hex(ceiling.rental_id)}")
        if ceiling.max_claimable > agreement.pay.max_total:
            raise CeilingRefused(
                "above_total", f"{ceiling.max_claimable} is above the total {agreement.pay.max_total}"
            )
        if ceiling.ack_amount > ceiling.max_claimable:
            raise CeilingRefused(
                "acknowledges_more",
                f"{ceiling.ack_amount} is acknowledged, {ceiling.max_claimable} claimable",
            )
        verify(agreement.pay.renter_agent, digest(domain, ceiling), self.signature)


def sign_ceiling(key: Signer, domain: Domain, ceiling: Ceiling) -> SignedCeiling:
    """Return the ceiling signed by the renter's session key."""
    return SignedCeiling(ceiling=ceiling, signature=sign(key, domain, ceiling))


def first_ceiling(agreement: Agreement, *, rental_id: bytes) -> Ceiling:
    """Return the ceiling before any reading: one block ahead of nothing."""
    return Ceiling(
        rental_id=rental_id,
        max_claimable=min(agreement.pay.block_max, agreement.pay.max_total),
        ack_amount=0,
        ack_reading=NOTHING_ACKNOWLEDGED,
    )


def next_ceiling(agreement: Agreement, reading: Reading) -> Ceiling:
    """Return the ceiling that acknowledges ``reading`` and allows one block beyond it, at most the total.

    What lies beyond the total is never acknowledged: it is not owed.
    """
    acknowledged = min(reading.amount_due, agreement.pay.max_total)
    return Ceiling(
        rental_id=reading.rental_id,
        max_claimable=min(acknowledged + agreement.pay.block_max, agreement.pay.max_total),
        ack_amount=acknowledged,
        ack_reading=reading_hash(reading),
    )


def allowed(agreement: Agreement, ceiling: Ceiling | None, prepaid: int) -> int:
    """Return up to which cumulative amount the device may serve.

    The least of ceiling, acknowledged + one block, and prepaid.
    """
    if ceiling is None:
        return 0
    return min(ceiling.max_claimable, ceiling.ack_amount + agreement.pay.block_max, prepaid)


def check_not_falling(before: Ceiling, after: Ceiling) -> None:
    """Raise CeilingRefused if a later ceiling takes back what an earlier one gave; no amount falls."""
    for name in ("max_claimable", "ack_amount"):
        low, high = getattr(before, name), getattr(after, name)
        if high < low:
            raise CeilingRefused("ceiling_fell", f"{name} fell from {low} to {high}")
