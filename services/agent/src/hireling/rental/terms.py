"""The terms of a rental, as the chain knows them: the Agreement and what names it.

Types and order as in the escrow's contract.
"""

from pydantic import Field

from hireling.rental.hashing import keccak256
from hireling.rental.typed_data import (
    Address,
    Bytes32,
    Domain,
    KeyBytes,
    SignerBytes,
    TypedData,
    Uint16,
    Uint32,
    Uint40,
    Uint96,
    digest,
)


class Pay(TypedData):
    """What every claim needs.

    Amounts in base units; ``fee_bps`` in ten-thousandths; times in Unix seconds; windows in seconds.
    """

    owner: SignerBytes
    renter_agent: KeyBytes
    meter: KeyBytes
    token: Address
    fee_to: Address
    fee_bps: Uint16
    max_total: Uint96
    block_max: Uint96
    max_rate_per_hour: Uint96
    start_at: Uint40
    claim_window: Uint32


class Detail(TypedData):
    """What the escrow never reads.

    The device, the documents' hashes, the rail and how far ahead the renter signs.
    """

    device: Bytes32
    offer: Bytes32
    tariff: Bytes32
    rail: str = Field(max_length=16)
    currency: str = Field(max_length=16)
    ceiling_seconds: Uint32
    grace: Uint32
    salt: Bytes32


class Rules(TypedData):
    """What claims do not need: the signers, the arbiter, the deposit and the deadlines."""

    renter: SignerBytes
    owner_agent: SignerBytes
    arbiter: Address
    deposit: Uint96
    fund_by: Uint40
    end_by: Uint40
    notice: Uint32
    challenge_window: Uint32
    detail: Detail


class Agreement(TypedData):
    """One rental's terms. Its digest is the rental's id, and what both sides sign."""

    pay: Pay
    rules: Rules

    @property
    def claim_by(self) -> int:
        """Return the last Unix second in which use can be claimed, unless an exit lowers it."""
        return self.rules.end_by + self.pay.claim_window

    @property
    def all_in(self) -> int:
        """Return what the renter locks at most: use, fee and tax inside, and the deposit."""
        return self.pay.max_total + self.rules.deposit


def rental_id(domain: Domain, agreement: Agreement) -> bytes:
    """Return the agreement's full EIP-712 digest."""
    return digest(domain, agreement)


def device_id(meter: bytes) -> bytes:
    """Return the device's id, its token in the registry: the Keccak-256 of its meter's identity."""
    return keccak256(meter)


def account_of(signer: bytes) -> bytes:
    """Return the account by which the escrow knows a signer: the Keccak-256 of its bytes."""
    return keccak256(signer)
