"""What an agent may sign for its principal, an owner or a renter, and how the principal takes it back."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from hireling.rental.documents import document_hash
from hireling.rental.errors import MandateExceeded
from hireling.rental.signing import Signer, sign, verify
from hireling.rental.tariff import Tariff, asks_at_least, scaled
from hireling.rental.terms import Agreement
from hireling.rental.typed_data import (
    Address,
    Bool,
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


@dataclass(frozen=True, kw_only=True)
class Clearance:
    """What an agreement alone does not tell of whether its agent may sign it.

    ``kind`` is the device's, ``listed`` and ``offered`` are the tariffs that an owner's price floor compares
    (None: no floor to keep), ``approved`` says that a person agreed to this very rental.
    """

    kind: str | None = None
    listed: Tariff | None = None
    offered: Tariff | None = None
    approved: bool = False


UNAPPROVED = Clearance()


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

    def allows(self, agreement: Agreement, *, reserved: int = 0, clearance: Clearance = UNAPPROVED) -> None:
        """Raise MandateExceeded, with the numbers, unless the agent may sign this agreement.

        ``reserved`` is what the mandate's other rentals hold, in base units.
        """
        self._allows_amounts(agreement, reserved=reserved)
        self._allows_price(clearance)
        self._allows_parties(agreement, kind=clearance.kind)
        self._allows_windows(agreement)
        if self.needs_approval(agreement) and not clearance.approved:
            raise MandateExceeded(
                "needs_approval",
                f"{agreement.all_in} is above {self.limits.approval_above}: a person has to agree",
            )

    def needs_approval(self, agreement: Agreement) -> bool:
        """Return whether a person has to agree to this rental."""
        threshold = self.limits.approval_above
        return threshold is not None and agreement.all_in > threshold

    def _allows_amounts(self, agreement: Agreement, *, reserved: int) -> None:
        limits, pay = self.limits, agreement.pay
        _at_most("per_rental", agreement.all_in, limits.per_rental)
        _at_most("total", reserved + agreement.all_in, limits.total)
        _at_most("max_rate_per_hour", pay.max_rate_per_hour, limits.max_rate_per_hour)
        _at_most("max_fee_bps", pay.fee_bps, limits.max_fee_bps)

    def _allows_price(self, clearance: Clearance) -> None:
        percent = self.limits.price_floor_percent
        if clearance.listed is None or clearance.offered is None or percent == 0:
            return
        if not asks_at_least(clearance.offered, scaled(clearance.listed, percent, 100)):
            raise MandateExceeded("price_floor", f"the price is below {percent} % of the listed one")

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


class Revocation(TypedData):
    """What a principal signs to stop its agents, or to let them go on.

    ``subject`` is a mandate's revocation id (32 bytes, final), an agent's key (20 or 64 bytes: whatever
    mandate it acts under), or empty: every agent of this principal. ``stands`` is false where the principal
    lifts it; of two about one subject the one with the later ``at`` (Unix seconds) counts, and of two of one
    second the one that stands.
    """

    subject: HexBytes
    stands: Bool
    at: Uint40


class SignedRevocation(Document):
    """A revocation and its principal's signature."""

    principal: SignerBytes
    revocation: Revocation
    signature: HexBytes

    def check(self, domain: Domain) -> None:
        """Raise SignatureMismatch unless the principal signed it, MandateExceeded for a wrong subject."""
        length = len(self.revocation.subject)
        if length not in (0, 20, 32, 64):
            raise MandateExceeded("bad_subject", f"{length} bytes name no mandate and no agent")
        if length == REVOCATION_BYTES and not self.revocation.stands:
            raise MandateExceeded("final", "a revoked mandate stays revoked: grant a new one")
        verify(self.principal, digest(domain, self.revocation), self.signature)

    def covers(self, signed: SignedMandate) -> bool:
        """Return whether it is about this mandate."""
        subjects = (signed.mandate.revocation, signed.mandate.agent, b"")
        return self.principal == signed.principal and self.revocation.subject in subjects


REVOCATION_BYTES = 32


def sign_revocation(
    key: Signer, domain: Domain, *, subject: bytes, stands: bool, at: int
) -> SignedRevocation:
    """Return the principal's word on ``subject`` as of ``at`` (Unix seconds)."""
    revocation = Revocation(subject=subject, stands=stands, at=at)
    return SignedRevocation(
        principal=key.identity, revocation=revocation, signature=sign(key, domain, revocation)
    )


def later(first: SignedRevocation, second: SignedRevocation) -> SignedRevocation:
    """Return the one of two revocations of one subject that counts."""
    return max(first, second, key=lambda word: (word.revocation.at, word.revocation.stands))


def check_not_revoked(signed: SignedMandate, revocations: Iterable[SignedRevocation]) -> None:
    """Raise MandateExceeded where the principal took the mandate back; each subject's latest word counts."""
    for word in revocations:
        if word.revocation.stands and word.covers(signed):
            what = {0: "every agent", REVOCATION_BYTES: "this mandate"}.get(
                len(word.revocation.subject), "this agent"
            )
            raise MandateExceeded("revoked", f"its principal stopped {what} at {word.revocation.at}")


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
