"""An agreement that both sides signed, with the offer that made it: enough to judge a rental."""

from datetime import datetime

from hireling.rental.errors import AgreementRefused, SignatureMismatch
from hireling.rental.limits import check_limits, check_openable
from hireling.rental.offer import Offer, agreement_from, check_amounts
from hireling.rental.signing import signer_of
from hireling.rental.terms import Agreement, Detail, Pay, Rules, account_of, device_id, rental_id
from hireling.rental.typed_data import Document, Domain, HexBytes, digest

__all__ = [
    "Agreement", "Detail", "Pay", "Rules", "SignedAgreement",
    "account_of", "check_owner_signature", "check_renter_signature", "device_id", "rental_id",
]  # fmt: skip


class SignedAgreement(Document):
    """A rental, as both sides signed it.

    The owner or its agent signed, and the renter itself, whose money it locks.
    """

    domain: Domain
    agreement: Agreement
    offer: Offer
    owner_signature: HexBytes
    renter_signature: HexBytes

    @property
    def rental_id(self) -> bytes:
        """Return the rental's id."""
        return rental_id(self.domain, self.agreement)

    def check(self, now: datetime) -> None:
        """Raise a RentalError unless both sides signed this and the escrow would open it at ``now``."""
        self.check_signed()
        check_openable(self.agreement, now)

    def check_signed(self) -> None:
        """Raise a RentalError unless both sides signed it, its offer makes it, and it is within the limits.

        Only limits that need no clock are looked at.
        """
        if self.offer.domain != self.domain:
            raise AgreementRefused("wrong_domain", f"the offer is for chain {self.offer.chain_id}")
        check_amounts(self.offer)
        if agreement_from(self.offer) != self.agreement:
            raise AgreementRefused("other_offer", "the agreement is not the one its offer makes")
        if self.agreement.rules.detail.device != device_id(self.agreement.pay.meter):
            raise AgreementRefused("other_device", "the device's id is not the hash of the meter's key")
        check_limits(self.agreement)
        check_owner_signature(self.domain, self.agreement, self.owner_signature)
        check_renter_signature(self.domain, self.agreement, self.renter_signature)


def check_owner_signature(domain: Domain, agreement: Agreement, signature: bytes) -> None:
    """Raise SignatureMismatch unless the owner or its agent signed the agreement."""
    signer = signer_of(digest(domain, agreement), signature)
    if signer not in (agreement.pay.owner, agreement.rules.owner_agent):
        raise SignatureMismatch(
            "wrong_signer", f"signed by 0x{signer.hex()}, who is neither the owner nor its agent"
        )


def check_renter_signature(domain: Domain, agreement: Agreement, signature: bytes) -> None:
    """Raise SignatureMismatch unless the renter signed the agreement."""
    signer = signer_of(digest(domain, agreement), signature)
    if signer != agreement.rules.renter:
        raise SignatureMismatch("wrong_signer", f"signed by 0x{signer.hex()}, who is not the renter")
