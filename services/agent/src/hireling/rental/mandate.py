"""What an agent may sign for its principal, an owner or a renter."""

from datetime import datetime

from pydantic import Field

from hireling.rental.documents import document_hash
from hireling.rental.errors import MandateExceeded
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.terms import Agreement
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Document,
    Domain,
    HexBytes,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint16,
    Uint32,
    Uint40,
    Uint96,
    digest,
)


class MandateLimits(Document):
    """The bounds of a mandate.

    Amounts in base units, price and deposit together; windows in seconds; an empty list allows all.

    ``price_floor_percent`` is an owner's: the least of the listed price its agent may go down to. At
    ``approval_above`` (None: never) a person has to agree.
    """

    per_rental: Uint96
    total: Uint96
    max_rate_per_hour: Uint96
    price_floor_percent: int = Field(default=0, ge=0, le=100, strict=True)
    kinds: tuple[str, ...] = ()
    arbiters: tuple[Address, ...] = ()
    tokens: tuple[Address, ...] = ()
    max_fee_bps: Uint16
    longest_notice: Uint32
    longest_claim_window: Uint32
    longest_challenge_window: Uint32
    approval_above: Uint96 | None = None


class Mandate(TypedData):
    """What the principal signs.

    The agent, the hash of its limits, the last second it holds, and the id to revoke it by.
    """

    agent: KeyBytes
    limits: Bytes32
    valid_until: Uint40
    revocation: Bytes32


class SignedMandate(Document):
    """A mandate with its limits and its principal's signature."""

    principal: SignerBytes
    mandate: Mandate
    limits: MandateLimits
    signature: HexBytes

    def check(self, domain: Domain, now: datetime) -> None:
        """Raise MandateExceeded once it has expired or if the limits are others.

        Raises SignatureMismatch unless the principal signed it.
        """
        if now.timestamp() > self.mandate.valid_until:
            raise MandateExceeded("expired", f"the mandate held until {self.mandate.valid_until}")
        if self.mandate.limits != document_hash(self.limits):
            raise MandateExceeded("other_limits", "the limits are not the ones the principal signed")
        verify(self.principal, digest(domain, self.mandate), self.signature)

    def allows(
        self,
        agreement: Agreement,
        *,
        reserved: int = 0,
        kind: str | None = None,
        listed_total: int | None = None,
        approved: bool = False,
    ) -> None:
        """Raise MandateExceeded, with the numbers, unless the agent may sign this agreement.

        ``reserved`` is what the mandate's other rentals hold, ``listed_total`` the worst case at the listed
        price, both in base units; ``approved`` says that a person agreed to this very rental.
        """
        self._allows_amounts(agreement, reserved=reserved, listed_total=listed_total)
        self._allows_parties(agreement, kind=kind)
        self._allows_windows(agreement)
        threshold = self.limits.approval_above
        if threshold is not None and agreement.all_in > threshold and not approved:
            raise MandateExceeded(
                "needs_approval", f"{agreement.all_in} is above {threshold}: a person has to agree"
            )

    def _allows_amounts(self, agreement: Agreement, *, reserved: int, listed_total: int | None) -> None:
        limits, pay = self.limits, agreement.pay
        _at_most("per_rental", agreement.all_in, limits.per_rental)
        _at_most("total", reserved + agreement.all_in, limits.total)
        _at_most("max_rate_per_hour", pay.max_rate_per_hour, limits.max_rate_per_hour)
        _at_most("max_fee_bps", pay.fee_bps, limits.max_fee_bps)
        if listed_total is not None and pay.max_total * 100 < listed_total * limits.price_floor_percent:
            raise MandateExceeded(
                "price_floor",
                f"{pay.max_total} is below {limits.price_floor_percent} % of the listed {listed_total}",
            )

    def _allows_parties(self, agreement: Agreement, *, kind: str | None) -> None:
        limits = self.limits
        if limits.kinds and kind is not None and kind not in limits.kinds:
            raise MandateExceeded("kinds", f"{kind} is none of {', '.join(limits.kinds)}")
        if limits.arbiters and agreement.rules.arbiter not in limits.arbiters:
            raise MandateExceeded("arbiters", f"arbiter 0x{agreement.rules.arbiter.hex()} is not allowed")
        if limits.tokens and agreement.pay.token not in limits.tokens:
            raise MandateExceeded("tokens", f"token 0x{agreement.pay.token.hex()} is not allowed")

    def _allows_windows(self, agreement: Agreement) -> None:
        limits, rules = self.limits, agreement.rules
        _at_most("longest_notice", rules.notice, limits.longest_notice)
        _at_most("longest_claim_window", agreement.pay.claim_window, limits.longest_claim_window)
        _at_most("longest_challenge_window", rules.challenge_window, limits.longest_challenge_window)


def sign_mandate(
    key: Signer, domain: Domain, *, agent: bytes, limits: MandateLimits, valid_until: int, revocation: bytes
) -> SignedMandate:
    """Return a mandate from the principal's key for ``agent``."""
    mandate = Mandate(
        agent=agent, limits=document_hash(limits), valid_until=valid_until, revocation=revocation
    )
    return SignedMandate(
        principal=key.identity, mandate=mandate, limits=limits, signature=sign(key, domain, mandate)
    )


def _at_most(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise MandateExceeded(name, f"{name}: {value} exceeds {limit}")
