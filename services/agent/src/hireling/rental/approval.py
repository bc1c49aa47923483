"""A person's word on one rental above a mandate's approval threshold."""

from hireling.rental.signing import Signer, sign, verify
from hireling.rental.typed_data import (
    Bool,
    Bytes32,
    Document,
    Domain,
    HexBytes,
    SignerBytes,
    TypedData,
    Uint40,
    digest,
)


class Approval(TypedData):
    """What a principal signs to let its agent sign this very rental, or to forbid it."""

    rental_id: Bytes32
    granted: Bool
    at: Uint40


class SignedApproval(Document):
    """A word on a rental and its principal's signature."""

    principal: SignerBytes
    approval: Approval
    signature: HexBytes

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the principal signed it."""
        verify(self.principal, digest(domain, self.approval), self.signature)


def sign_approval(key: Signer, domain: Domain, *, rental_id: bytes, granted: bool, at: int) -> SignedApproval:
    """Return the principal's word on a rental as of ``at`` (Unix seconds)."""
    approval = Approval(rental_id=rental_id, granted=granted, at=at)
    return SignedApproval(principal=key.identity, approval=approval, signature=sign(key, domain, approval))
