"""Challenge and response.

The device lets in, offline and without a clock, whoever holds the agreement's session key.
"""

import secrets

from hireling.rental.agreement import SignedAgreement
from hireling.rental.close import Unlock, UnlockAction
from hireling.rental.errors import SignatureMismatch
from hireling.rental.signing import verify
from hireling.rental.topics import Answer, Challenge
from hireling.rental.typed_data import digest

# More open challenges than an honest renter ever causes, few enough that a flood of questions fills no
# memory.
OPEN_CHALLENGES = 64


class UnlockRefused(Exception):
    """The answer opens nothing: an unknown or used nonce, or another key; the message says which."""


class UnlockGate:
    """The door of one rental."""

    def __init__(self, agreement: SignedAgreement) -> None:
        self._agreement = agreement
        self._open: dict[bytes, UnlockAction] = {}

    def challenge(self, action: UnlockAction) -> Challenge:
        """Return a new challenge; the oldest open one gives way when there are too many."""
        if len(self._open) >= OPEN_CHALLENGES:
            del self._open[next(iter(self._open))]
        nonce = secrets.token_bytes(32)
        self._open[nonce] = action
        return Challenge(rental_id=self._agreement.rental_id, action=action, nonce=nonce)

    def check(self, answer: Answer) -> UnlockAction:
        """Return what the answer proves the renter wants.

        Raises UnlockRefused; the nonce is used up either way.
        """
        action = self._open.pop(answer.nonce, None)
        if action is None:
            raise UnlockRefused("the nonce is unknown or used up")
        if action is not answer.action or answer.rental_id != self._agreement.rental_id:
            raise UnlockRefused("the answer is to another question than this nonce asked")
        agreement = self._agreement.agreement
        asked = Unlock(
            rental_id=answer.rental_id,
            device=agreement.rules.detail.device,
            nonce=answer.nonce,
            action=action,
        )
        try:
            verify(agreement.pay.renter_agent, digest(self._agreement.domain, asked), answer.signature)
        except SignatureMismatch as error:
            raise UnlockRefused(
                f"the answer is not signed by the agreement's session key: {error}"
            ) from error
        return action
