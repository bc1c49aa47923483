"""A rental as its parties see it: an agreement with real keys, and everything they sign about it."""

from dataclasses import dataclass, field
from typing import Any

from eth_utils import keccak
from signing import Key, Secp256k1Key, digest, domain, hash_struct

HOUR = 3600
DAY = 24 * HOUR
USD = 10**6
NOBODY = "0x" + "00" * 20


@dataclass
class Rental:
    """Amounts are in base units of a six-decimal token, times in Unix seconds. `starts` is the chain's time at signing."""

    escrow: str
    token: str
    starts: int
    owner: Key = field(default_factory=lambda: Secp256k1Key("owner"))
    owner_agent: Key = field(default_factory=lambda: Secp256k1Key("owner's agent"))
    renter: Key = field(default_factory=lambda: Secp256k1Key("renter"))
    renter_agent: Key = field(default_factory=lambda: Secp256k1Key("renter's agent"))
    meter: Key = field(default_factory=lambda: Secp256k1Key("meter"))
    fee_to: str = Secp256k1Key("platform").address
    arbiter: str = Secp256k1Key("arbiter").address
    fee_bps: int = 250
    max_total: int = 100 * USD
    deposit: int = 20 * USD
    block_max: int = 5 * USD
    max_rate_per_hour: int = 60 * USD
    duration: int = 4 * HOUR
    start_delay: int = 0
    fund_delay: int = HOUR
    notice: int = 600
    claim_window: int = 2 * HOUR
    challenge_window: int = 3 * HOUR
    salt: bytes = b"\x01" * 32
    chain_id: int = 31337

    @property
    def fund_by(self) -> int:
        return self.starts + self.fund_delay

    @property
    def end_by(self) -> int:
        return self.starts + self.duration

    @property
    def claim_by(self) -> int:
        return self.end_by + self.claim_window

    @property
    def dispute_by(self) -> int:
        return self.claim_by + self.challenge_window

    @property
    def rule_from(self) -> int:
        return self.dispute_by + 48 * HOUR

    @property
    def rule_by(self) -> int:
        return self.rule_from + 7 * DAY

    @property
    def bond(self) -> int:
        return self.deposit // 10

    @property
    def domain(self) -> dict[str, Any]:
        return domain(self.escrow, chain_id=self.chain_id)

    @property
    def agreement(self) -> dict[str, Any]:
        return {"pay": self._pay, "rules": self._rules}

    @property
    def _pay(self) -> dict[str, Any]:
        return {
            "owner": self.owner.signer,
            "renter_agent": self.renter_agent.signer,
            "meter": self.meter.signer,
            "token": self.token,
            "fee_to": self.fee_to,
            "fee_bps": self.fee_bps,
            "max_total": self.max_total,
            "block_max": self.block_max,
            "max_rate_per_hour": self.max_rate_per_hour,
            "start_at": self.starts + self.start_delay,
            "claim_window": self.claim_window,
        }

    @property
    def _rules(self) -> dict[str, Any]:
        return {
            "renter": self.renter.signer,
            "owner_agent": self.owner_agent.signer,
            "arbiter": self.arbiter,
            "deposit": self.deposit,
            "fund_by": self.fund_by,
            "end_by": self.end_by,
            "notice": self.notice,
            "challenge_window": self.challenge_window,
            "detail": self._detail,
        }

    @property
    def _detail(self) -> dict[str, Any]:
        return {
            "device": keccak(self.meter.signer),
            "offer": keccak(text="offer"),
            "tariff": keccak(text="tariff"),
            "rail": "token",
            "currency": "USD",
            "ceiling_seconds": 600,
            "grace": 60,
            "salt": self.salt,
        }

    @property
    def id(self) -> bytes:
        return digest(self.domain, "Agreement", self.agreement)

    @property
    def pay(self) -> tuple[Any, ...]:
        """The Pay struct as calldata carries it: members of type bytes as their hash."""
        return tuple(keccak(value) if isinstance(value, bytes) else value for value in self._pay.values())

    @property
    def rules(self) -> tuple[Any, ...]:
        """The Rules struct as calldata carries it."""
        detail = hash_struct("Detail", self._detail)
        values = [keccak(value) if isinstance(value, bytes) else value for value in self._rules.values()]
        return (*values[:-1], detail)

    @property
    def rules_hash(self) -> bytes:
        return hash_struct("Rules", self._rules)

    @property
    def terms(self) -> tuple[Any, ...]:
        return (self.pay, self.rules)

    def signed(self, name: str, values: dict[str, Any], key: Key) -> bytes:
        return key.sign(digest(self.domain, name, values))

    @property
    def agreement_signature(self) -> bytes:
        return self.renter.sign(self.id)

    def fund(self, funded_bps: int, *, key: Key | None = None) -> bytes:
        return self.signed("Fund", {"rental_id": self.id, "funded_bps": funded_bps}, key or self.renter)

    def fund_nonce(self, funded_bps: int) -> bytes:
        return hash_struct("Fund", {"rental_id": self.id, "funded_bps": funded_bps})

    def exit(self, key: Key) -> bytes:
        return self.signed("Exit", {"rental_id": self.id}, key)

    def dispute(self, key: Key | None = None) -> bytes:
        return self.signed("Dispute", {"rental_id": self.id}, key or self.renter)

    def damage(self, amount: int, evidence: bytes, key: Key) -> bytes:
        return self.signed("Damage", {"rental_id": self.id, "amount": amount, "evidence": evidence}, key)

    def close(self, use: int, damage: int, valid_until: int, key: Key) -> bytes:
        values = {"rental_id": self.id, "use": use, "damage": damage, "valid_until": valid_until}
        return self.signed("Close", values, key)

    def sample(self, seq: int) -> dict[str, Any]:
        return {
            "previous": self.id,
            "counters": [seq * 1000, seq],
            "boot": keccak(text="boot"),
            "monotonic_ms": seq * 1000,
            "wall_ms": self.starts * 1000 + seq * 1000,
            "clock": 1,
            "event": 1,
            "flags": 0,
        }

    def reading(
        self, amount_due: int, *, seq: int = 1, last: bool = False, key: Key | None = None
    ) -> tuple[tuple[Any, ...], bytes]:
        """Return a reading as calldata carries it, and the meter's signature."""
        sample = self.sample(seq)
        values = {"rental_id": self.id, "seq": seq, "amount_due": amount_due, "last": last, "sample": sample}
        calldata = (self.id, seq, amount_due, last, hash_struct("Sample", sample))
        return calldata, self.signed("Reading", values, key or self.meter)

    def ceiling(
        self, max_claimable: int, ack_amount: int, *, key: Key | None = None
    ) -> tuple[tuple[Any, ...], bytes]:
        """Return a ceiling as calldata carries it, and the session key's signature."""
        values = {
            "rental_id": self.id,
            "max_claimable": max_claimable,
            "ack_amount": ack_amount,
            "ack_reading": b"\x00" * 32,
        }
        return tuple(values.values()), self.signed("Ceiling", values, key or self.renter_agent)

    def claim(self, amount_due: int, max_claimable: int, ack_amount: int, *, seq: int = 1) -> tuple[Any, ...]:
        """Return a whole row of evidence."""
        reading = self.reading(amount_due, seq=seq)
        ceiling = self.ceiling(max_claimable, ack_amount)
        return (self.pay, self.rules_hash, *reading, *ceiling)
