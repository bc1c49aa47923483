"""What stands before an action is measured: who holds what, and rentals in every state an action begins from.

Conventions, so that numbers compare: a plain OpenZeppelin token with permit; an unlimited allowance in place; every balance an
action touches is non-zero before and after; the permit nonce is non-zero; a fee is taken. A rental locks 100: 80 to use and 20 of
deposit. Settling pays 30, closing pays 20 more and refunds 50.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from chain import Chain, Contract
from eth_utils import keccak
from rental import HOUR, NOBODY, USD, Rental
from signing import Key, P256Key, Secp256k1Key, account_of, digest, domain

USE = 80 * USD
DEPOSIT = 20 * USD
FIRST = 30 * USD
TAIL = 4 * USD
LAST = 50 * USD
PURSE = 1_000_000 * USD
UNLIMITED = 2**256 - 1
RELAYER = Secp256k1Key("relayer").address
SECP256K1_LENGTH = 65


@dataclass(frozen=True)
class Compact:
    """A secp256k1 key whose signatures are 64 bytes: r, and s with the parity of y in its highest bit (EIP-2098)."""

    key: Key

    @property
    def signer(self) -> bytes:
        return self.key.signer

    @property
    def address(self) -> str:
        return str(self.key.address)  # type: ignore[union-attr]

    def sign(self, message_digest: bytes) -> bytes:
        signature = self.key.sign(message_digest)
        if len(signature) != SECP256K1_LENGTH:
            return signature
        with_parity = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
        return signature[:32] + with_parity.to_bytes(32, "big")


@dataclass
class Scene:
    chain: Chain
    escrow: Contract
    token: Contract
    anchor: Contract
    compact: bool = False
    _salts: int = 0

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Forget at the end what happens inside, so that no action's keys depend on what was measured before."""
        salts = self._salts
        with self.chain.set_aside():
            yield
        self._salts = salts

    @property
    def contracts(self) -> dict[str, Contract]:
        return {"RentalEscrow": self.escrow}

    def rental(self, **changes: Any) -> Rental:
        """Return a rental that nobody has opened yet, each with keys of its own for meter and session."""
        self._salts += 1
        keys = {
            "meter": Secp256k1Key(f"meter {self._salts}"),
            "renter_agent": Secp256k1Key(f"session {self._salts}"),
            "salt": keccak(text=f"salt {self._salts}"),
        }
        terms = {"max_total": USE, "deposit": DEPOSIT, "starts": self.chain.now}
        made = Rental(escrow=self.escrow.address, token=self.token.address, **(terms | keys | changes))
        if not self.compact:
            return made
        parties = ("owner", "owner_agent", "renter", "renter_agent", "meter")
        return replace(made, **{name: Compact(getattr(made, name)) for name in parties})

    def opened(self, **changes: Any) -> Rental:
        rental = self.rental(**changes)
        self.escrow.send("open", rental.terms, 10_000, rental.agreement_signature, sender=RELAYER)
        return rental

    def settled(self, **changes: Any) -> Rental:
        """Return a rental of which 30 are paid."""
        rental = self.opened(**changes)
        self.at(rental.starts + HOUR)
        self.escrow.send("claim", rental.claim(FIRST, FIRST, FIRST), NOBODY, sender=RELAYER)
        return rental

    def with_tail(self) -> Rental:
        """Return a rental of which 30 are paid and 4 more are owed but not acknowledged."""
        rental = self.opened()
        self.at(rental.starts + HOUR)
        row = rental.claim(FIRST + TAIL, FIRST + TAIL, FIRST)
        self.escrow.send("claim", row, NOBODY, sender=RELAYER)
        return rental

    def disputed(self) -> Rental:
        rental = self.with_tail()
        self.at(rental.claim_by + 1)
        self.escrow.send("dispute", rental.terms, b"", sender=rental.renter.address)
        return rental

    def at(self, timestamp: int) -> None:
        self.chain.next_at(max(timestamp, self.chain.now + 1))

    def permit(self, holder: Key, value: int) -> tuple[Any, ...]:
        deadline = self.chain.now + HOUR
        address = holder.address  # type: ignore[union-attr]
        values = {
            "owner": address,
            "spender": self.escrow.address,
            "value": value,
            "nonce": self.token.read("nonces", address)[0],
            "deadline": deadline,
        }
        token_domain = domain(self.token.address, name="Hireling Test Dollar")
        signature = Secp256k1Key("renter").sign(digest(token_domain, "Permit", values))
        return (value, deadline, signature[64], signature[:32], signature[32:64])


def furnished(chain: Chain) -> Scene:
    scene = Scene(
        chain,
        escrow=chain.deploy("RentalEscrow"),
        token=chain.deploy("TestStablecoin"),
        anchor=chain.deploy("BatchAnchor"),
    )
    parties = [Secp256k1Key(name) for name in ("renter", "owner", "platform", "owner's agent")]
    for party in parties:
        scene.token.send("mint", party.address, PURSE, sender=RELAYER)
        scene.token.send("approve", scene.escrow.address, UNLIMITED, sender=party.address)
        credit = (scene.token.address, account_of(party), 500 * USD)
        scene.escrow.send("deposit", *credit, sender=party.address)
    renter = parties[0]
    # Twice, so that the nonce is no longer zero and the allowance is not what the measured permit makes it.
    for value in (UNLIMITED - 1, UNLIMITED):
        value_to_s = scene.permit(renter, value)
        signed = (renter.address, scene.escrow.address, *value_to_s)
        scene.token.send("permit", *signed, sender=RELAYER)
    scene.opened()
    scene.compact = _accepts_compact(scene)
    return scene


def _accepts_compact(scene: Scene) -> bool:
    rental = scene.rental()
    signature = Compact(rental.renter).sign(rental.id)
    calldata = scene.escrow.encode("open", rental.terms, 10_000, signature)
    return not scene.chain.is_refused(RELAYER, scene.escrow.address, calldata)


def p256_keys() -> dict[str, Key]:
    return {"meter": P256Key("measured meter"), "renter_agent": P256Key("measured session")}
