"""The renter's wallet: a key that holds tokens and no gas.

It signs; the marketplace relays and pays the gas.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hireling.escrow_slots import slot_of
from hireling.json_rpc import JsonRpc
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView, WalletView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.hashing import keccak256
from hireling.rental.reservation import unopenable_at
from hireling.rental.signing import Secp256k1Key

EIP712_DOMAIN = keccak256(b"eip712Domain()")[:4]  # ERC-5267
DOMAIN_TYPE = keccak256(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
PERMIT_TYPE = keccak256(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)  # EIP-2612
TRANSFER_TYPE = keccak256(
    b"TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,"
    b"bytes32 nonce)"
)  # ERC-3009
NAME_VERSION_CHAIN_CONTRACT = 0x0F  # ERC-5267: the fields of the domain that are used
WITHDRAWAL_HOLDS = timedelta(hours=1)
WORD = 32


class TokenUnfit(Exception):
    """The token is not the one the marketplace names, or cannot be paid by signature."""


@dataclass(frozen=True)
class TokenDomain:
    """The token's own EIP-712 domain, as it says itself."""

    name: str
    version: str
    chain_id: int
    contract: bytes

    @property
    def separator(self) -> bytes:
        """Return the EIP-712 domain separator."""
        return keccak256(
            DOMAIN_TYPE
            + keccak256(self.name.encode())
            + keccak256(self.version.encode())
            + _word(self.chain_id)
            + _word(self.contract)
        )

    def digest(self, struct_hash: bytes) -> bytes:
        """Return what is signed for a struct in this domain."""
        return keccak256(b"\x19\x01" + self.separator + struct_hash)


class Wallet:
    """One key's tokens."""

    def __init__(
        self, key: Secp256k1Key, *, platform: PlatformClient, facts: PlatformView, rpc: JsonRpc
    ) -> None:
        self._key = key
        self._platform = platform
        self._facts = facts
        self._rpc = rpc

    @property
    def address(self) -> bytes:
        """Return the wallet's address."""
        return self._key.identity

    async def state(self) -> WalletView:
        """Return balance, escrow credit and permit nonce, in base units. Raises PlatformError."""
        return await self._platform.wallet(self.address)

    async def locked(self, agreement: SignedAgreement) -> Slot:
        """Return what the escrow has of a rental, in the newest block. Raises ChainUnreachable."""
        return await slot_of(self._rpc, escrow=agreement.domain.escrow, rental_id=agreement.rental_id)

    async def locks_nothing_for_good(self, agreement: SignedAgreement) -> bool:
        """Return whether the escrow is done with a rental, or holds nothing and is too late to open.

        By one block, and its time: a node that stands still does not know what was opened since. Raises
        ChainUnreachable.
        """
        block = await self._rpc.height()
        domain, rules = agreement.domain, agreement.agreement.rules
        slot = await slot_of(self._rpc, escrow=domain.escrow, rental_id=agreement.rental_id, block=block)
        if slot.status:
            return slot.has(Status.DONE)
        return await self._rpc.block_time(block) >= unopenable_at(rules.fund_by).timestamp()

    async def permit(self, *, value: int, deadline: int) -> Mapping[str, str]:
        """Return a permit of ``value`` base units to the escrow until ``deadline`` (Unix seconds).

        Raises PlatformError, ChainUnreachable, or TokenUnfit when the token's own domain is not the agreed
        one's.
        """
        nonce = (await self.state()).nonce
        domain = await self.token_domain()
        struct = PERMIT_TYPE + words_of(self.address, self._facts.escrow, value, nonce, deadline)
        signature = self._key.sign_digest(domain.digest(keccak256(struct)))
        return {"value": str(value), "deadline": str(deadline), "signature": f"0x{signature.hex()}"}

    async def transfer(
        self, *, recipient: bytes, value: int, now: datetime, nonce: bytes | None = None
    ) -> Mapping[str, str]:
        """Return a signed transfer of ``value`` base units for the marketplace to relay.

        Transfers under one ``nonce`` (32 bytes, random by default) happen once. Raises as ``permit`` does.
        """
        domain = await self.token_domain()
        valid_before = int((now + WITHDRAWAL_HOLDS).timestamp())
        nonce = secrets.token_bytes(32) if nonce is None else nonce
        struct = TRANSFER_TYPE + words_of(self.address, recipient, value, 0, valid_before, nonce)
        signature = self._key.sign_digest(domain.digest(keccak256(struct)))
        return {
            "sender": f"0x{self.address.hex()}",
            "recipient": f"0x{recipient.hex()}",
            "value": str(value),
            "valid_after": "0",
            "valid_before": str(valid_before),
            "nonce": f"0x{nonce.hex()}",
            "signature": f"0x{signature.hex()}",
        }

    async def token_domain(self) -> TokenDomain:
        """Return the token's signing domain. Raises ChainUnreachable, TokenUnfit."""
        domain = decode_domain(await self._rpc.read(self._facts.token.address, EIP712_DOMAIN))
        # A node that lies about the domain could turn this signature into one for another token.
        if (domain.chain_id, domain.contract) != (self._facts.chain_id, self._facts.token.address):
            raise TokenUnfit(
                f"the token says it is 0x{domain.contract.hex()} on chain {domain.chain_id}, not"
                f" 0x{self._facts.token.address.hex()} on chain {self._facts.chain_id}"
            )
        return domain


def decode_domain(answer: bytes) -> TokenDomain:
    """Return the domain in an answer of ``eip712Domain()``.

    Raises TokenUnfit for one that is not of the usual four fields.
    """
    try:
        fields = answer[0]
        name, version = _text(answer, 1), _text(answer, 2)
        chain_id = int.from_bytes(_at(answer, 3))
        contract = _at(answer, 4)[12:]
    except (IndexError, ValueError) as error:
        raise TokenUnfit(f"the token does not tell its signing domain (ERC-5267): {error}") from error
    if fields != NAME_VERSION_CHAIN_CONTRACT:
        raise TokenUnfit(f"the token signs in an unusual domain (fields {fields:#04x})")
    return TokenDomain(name=name, version=version, chain_id=chain_id, contract=contract)


def _at(answer: bytes, index: int) -> bytes:
    word = answer[index * WORD : (index + 1) * WORD]
    if len(word) != WORD:
        raise ValueError(f"the answer ends before word {index}")
    return word


def _text(answer: bytes, index: int) -> str:
    start = int.from_bytes(_at(answer, index))
    length = int.from_bytes(answer[start : start + WORD])
    text = answer[start + WORD : start + WORD + length]
    if len(text) != length or not length:
        raise ValueError(f"the answer's text at {start} is cut off or empty")
    return text.decode()


def words_of(*values: int | bytes) -> bytes:
    """Return numbers and addresses as the ABI's words, 32 bytes each."""
    return b"".join(_word(value) for value in values)


def _word(value: int | bytes) -> bytes:
    return value.to_bytes(WORD) if isinstance(value, int) else value.rjust(WORD, b"\0")
