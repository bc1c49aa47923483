"""The short signed words between the parties and the contracts.

How a rental is funded, unlocked, ended and disputed.
"""

from enum import IntEnum
from typing import Annotated

from hireling.rental.errors import CloseRefused, SignatureMismatch
from hireling.rental.signing import signer_of
from hireling.rental.terms import Agreement
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Document,
    Domain,
    HexBytes,
    TypedData,
    Uint16,
    Uint40,
    Uint64,
    Uint96,
    Uint128,
    digest,
)
from hireling.rental.values import Integer


class UnlockAction(IntEnum):
    """What the renter asks of the device."""

    UNLOCK = 1
    STOP = 2


class Close(TypedData):
    """Both sides' word on how a rental ends.

    ``use`` is the cumulative gross price, ``damage`` the deposit's part for the owner.
    """

    rental_id: Bytes32
    use: Uint96
    damage: Uint96
    valid_until: Uint40


class SignedClose(Document):
    """A Close with both sides' signatures."""

    close: Close
    owner_signature: HexBytes
    renter_signature: HexBytes

    def check(self, domain: Domain, agreement: Agreement) -> None:
        """Raise CloseRefused for one beyond the agreement, SignatureMismatch unless both sides signed it."""
        check_close(domain, agreement, self.close)
        check_close_by_owner(domain, agreement, self.close, signature=self.owner_signature)
        check_close_by_renter(domain, agreement, self.close, signature=self.renter_signature)


class Fund(TypedData):
    """The renter's consent to fund ``funded_bps`` ten-thousandths of max_total."""

    rental_id: Bytes32
    funded_bps: Uint16


class Exit(TypedData):
    """Either side's irrevocable wish to end the lock early, after the notice."""

    rental_id: Bytes32


class Dispute(TypedData):
    """The renter's objection to the tail; may be signed ahead for a watchtower."""

    rental_id: Bytes32


class Damage(TypedData):
    """The owner's claim on the deposit, in base units, with the hash of its evidence."""

    rental_id: Bytes32
    amount: Uint96
    evidence: Bytes32


class Unlock(TypedData):
    """The session key's answer to a device's challenge: this nonce, for this action, once."""

    rental_id: Bytes32
    device: Bytes32
    nonce: Bytes32
    action: Annotated[UnlockAction, Integer(8, names=UnlockAction)]


class Deposit(TypedData):
    """Tokens into an account inside the escrow; its hashStruct is the ERC-3009 nonce."""

    account: Bytes32
    salt: Bytes32


class Withdraw(TypedData):
    """Tokens out of an account inside the escrow; ``tip`` goes to whoever submits it."""

    account: Bytes32
    token: Address
    to: Address
    amount: Uint128
    tip: Uint128
    nonce: Uint64
    valid_until: Uint40


class Possession(TypedData):
    """A meter's word that ``owner`` owns the device it measures for, signed in the registry's domain.

    ``metadata`` is the hash that the device is registered with; zero where the key becomes a device's next.
    """

    owner: Address
    registry: Address
    device: Bytes32
    metadata: Bytes32
    valid_until: Uint40


def check_close(domain: Domain, agreement: Agreement, close: Close) -> None:
    """Raise CloseRefused unless the close is of this rental and within its money."""
    if close.rental_id != digest(domain, agreement):
        raise CloseRefused("unknown_rental", f"the close is of rental 0x{close.rental_id.hex()}")
    if close.use > agreement.pay.max_total:
        raise CloseRefused("above_total", f"use {close.use} is above the total {agreement.pay.max_total}")
    if close.damage > agreement.rules.deposit:
        raise CloseRefused(
            "above_deposit", f"damage {close.damage}, the deposit is {agreement.rules.deposit}"
        )


def check_close_by_owner(domain: Domain, agreement: Agreement, close: Close, *, signature: bytes) -> None:
    """Raise SignatureMismatch unless the owner or its agent signed the close."""
    _check_signer(domain, close, signature, signers=(agreement.pay.owner, agreement.rules.owner_agent))


def check_close_by_renter(domain: Domain, agreement: Agreement, close: Close, *, signature: bytes) -> None:
    """Raise SignatureMismatch unless the renter signed it, or its agent where nothing is for damage."""
    renter, agent = agreement.rules.renter, agreement.pay.renter_agent
    _check_signer(domain, close, signature, signers=(renter,) if close.damage else (renter, agent))


def _check_signer(domain: Domain, close: Close, signature: bytes, *, signers: tuple[bytes, ...]) -> None:
    signer = signer_of(digest(domain, close), signature)
    if signer not in signers:
        raise SignatureMismatch("wrong_signer", f"the close is signed by 0x{signer.hex()}, who may not")
