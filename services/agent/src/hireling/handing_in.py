"""A marketplace that was restored from a backup has lost what was agreed since: a side hands it in again.

The chain has the money and no terms: those are with the two sides alone.
"""

from datetime import UTC, datetime
from typing import Self

from hireling.announce import Announce
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformNotFound, PlatformRefused
from hireling.rental.agreement import SignedAgreement
from hireling.rental.typed_data import to_hex

ALREADY_PAID_OUT = "already_paid_out"
# No other try changes that; every other reason may pass (docs/adr/0018-what-was-agreed-after-a-backup.md).
OTHER_TERMS = "not_the_platforms_terms"


class PaidOut(Exception):
    """The escrow has paid out a rental that the marketplace lost: there will be no bill."""

    @classmethod
    def of(cls, agreement: SignedAgreement) -> Self:
        """Return it for a rental."""
        rental_id = to_hex(agreement.rental_id)
        return cls(f"the escrow has paid out rental {rental_id}, and the marketplace lost it with its bill")


class NotTakenBack(Exception):
    """The marketplace lost a rental, and takes none back on these terms. The message says which.

    What the escrow holds goes by its own deadlines.
    """

    @classmethod
    def because(cls, reason: str, agreement: SignedAgreement) -> Self:
        """Return it for a rental."""
        claim_by = datetime.fromtimestamp(agreement.agreement.claim_by, UTC)
        return cls(
            f"the marketplace lost rental {to_hex(agreement.rental_id)} and does not take it back: {reason}; "
            f"of what the escrow holds for it the owner may claim what was allowed until "
            f"{claim_by:%Y-%m-%d %H:%M} UTC, and the rest is the renter's"
        )


class HandingIn:
    """Hands in what both sides signed; says once what became of it, not at every try."""

    def __init__(self, *, platform: PlatformClient, announce: Announce) -> None:
        self._platform = platform
        self._announce = announce
        self._said: dict[bytes, str] = {}

    async def is_lost(self, rental_id: bytes) -> bool:
        """Return whether the marketplace does not know that this was agreed. Raises PlatformError."""
        try:
            await self._platform.agreement(rental_id)
        except PlatformNotFound:
            return True
        return False

    async def hand_in(self, agreement: SignedAgreement) -> bool:
        """Return whether the marketplace took it; where not, it may at another try.

        Raises PaidOut, NotTakenBack, PlatformError where it did not answer.
        """
        rental_id = to_hex(agreement.rental_id)
        try:
            await self._platform.hand_in_agreement(agreement)
        except PlatformRefused as error:
            if error.code == ALREADY_PAID_OUT:
                raise PaidOut.of(agreement) from error
            # Perhaps it has not read the chain so far, or does not know the machine yet.
            if self._said.get(agreement.rental_id) != error.code:
                self._announce(
                    "agreement_not_taken_back", rental_id=rental_id, code=error.code, detail=str(error)
                )
            self._said[agreement.rental_id] = error.code
            if error.code == OTHER_TERMS:
                raise NotTakenBack.because(error.detail, agreement) from error
            return False
        self._announce("agreement_handed_in", rental_id=rental_id)
        return True

    async def hand_in_if_lost(self, agreement: SignedAgreement) -> None:
        """Hand it in where the marketplace does not know it. Raises as the above."""
        if await self.is_lost(agreement.rental_id):
            await self.hand_in(agreement)
