"""The chain as settlement sees it: the contracts' state, their logs, the relayer's signed transactions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode
from eth_account.account import Account

from hireling.rental.anchoring import Announcement
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.signing import Secp256k1Key, keccak256
from services.settlement.escrow.abi import checksummed
from services.settlement.escrow.calls import Calls
from services.settlement.escrow.deployment import Deployment
from services.settlement.escrow.logs import ChainLog, decode_logs
from services.settlement.escrow.node import GWEI, Block, Call, Node, Receipt

# A replacement must pay a tenth more than what it replaces, else nodes refuse it. Source: go-ethereum's
# txpool.pricebump.
BUMP_PERCENT = 12
SLOT = ("uint96", "uint96", "uint40", "uint16", "uint8")
DYNAMIC_FEE = 2  # EIP-2718's type of an EIP-1559 transaction
# What estimating says is exact for the state it saw; another rental's transaction may come first.
GAS_MARGIN_PERCENT = 25
# The relayer of a development chain is given this much when it has less than a tenth of it.
DEV_ETHER = 10 * 10**18


@dataclass(frozen=True)
class Fees:
    """Wei per gas: the most to pay, and the miner's share in it."""

    max_fee: int
    tip: int

    def bumped(self) -> "Fees":
        """Return fees that replace a transaction with these."""
        return Fees(_raised(self.max_fee), _raised(self.tip))


@dataclass(frozen=True)
class Wallet:
    """What an address has: tokens, tokens the escrow owes it, and its next permit nonce."""

    balance: int
    credit: int
    nonce: int


@dataclass(frozen=True)
class TokenFacts:
    """The token's own words about itself."""

    symbol: str
    decimals: int


@dataclass(frozen=True)
class SignedTransaction:
    """A raw transaction and the hash it is known by."""

    raw: bytes
    hash: bytes


class Chain:
    """One deployment through one node, with the relayer's key."""

    def __init__(self, *, node: Node, deployment: Deployment, relayer: Secp256k1Key) -> None:
        self._node = node
        self._relayer = relayer
        self.deployment = deployment
        self.calls = Calls(deployment)

    @property
    def relayer(self) -> bytes:
        """Return the relayer's address."""
        return self._relayer.identity

    @property
    def anchor(self) -> Announcement:
        """Return where the relayer announces roots, and in whose name."""
        contracts = self.deployment
        return Announcement(chain_id=contracts.chain_id, contract=contracts.anchor, publisher=self.relayer)

    def head(self) -> Block:
        """Return the newest block."""
        return self._node.head()

    def height(self) -> int:
        """Return the newest block's number."""
        return self._node.height()

    def block(self, number: int) -> Block | None:
        """Return a block, None where the chain has no such number."""
        return self._node.block(number)

    def logs(self, *, first: int, last: int) -> list[ChainLog]:
        """Return what escrow and registry said in the blocks first to last."""
        contracts = [self.deployment.escrow, self.deployment.registry]
        return decode_logs(self._node.logs(contracts, first=first, last=last), self.deployment)

    def slot(self, rental_id: bytes, *, at: int | None = None) -> Slot:
        """Return the rental's slot now, or after block `at`; all zero for none."""
        return _slot(self._node.read(self.calls.slot(rental_id), at=at))

    def slots(self, rental_ids: Sequence[bytes], *, at: int) -> list[Slot]:
        """Return these rentals' slots after block `at`, in one question; all zero for none."""
        asked = [self.calls.slot(rental_id) for rental_id in rental_ids]
        return [_slot(answer) for answer in self._node.read_all(asked, at=at)]

    def escrowed(self, *, at: int | None = None) -> int:
        """Return how many base units of the token the escrow has now, or after block `at`."""
        (balance,) = self._read(self.calls.balance(self.deployment.escrow), "uint256", at=at)
        return int(balance)

    def wallet(self, address: bytes) -> Wallet:
        """Return what the address has now."""
        asked = (self.calls.credit(address), self.calls.balance(address), self.calls.permit_nonce(address))
        owed, held, used = self._node.read_all(asked)
        credit, _ = decode(("uint128", "uint64"), owed)
        (balance,), (nonce,) = decode(("uint256",), held), decode(("uint256",), used)
        return Wallet(balance=balance, credit=credit, nonce=nonce)

    def token(self) -> TokenFacts:
        """Return the token's symbol and decimals."""
        (symbol,) = self._read(self.calls.symbol(), "string")
        (decimals,) = self._read(self.calls.decimals(), "uint8")
        return TokenFacts(symbol=symbol, decimals=decimals)

    def simulate(self, call: Call) -> None:
        """Raise Reverted if the relayer's call would fail now."""
        self._node.read(call, sender=self.relayer)

    def nonce(self, *, at: int | None = None) -> int:
        """Return how many of the relayer's transactions are mined, or were after block `at`."""
        return self._node.nonce(self.relayer, at=at)

    def fees(self) -> Fees:
        """Return what a transaction should pay now: room for the base fee to double."""
        tip = max(self._node.tip(), GWEI)
        return Fees(max_fee=2 * self._node.head().base_fee + tip, tip=tip)

    def gas(self, call: Call) -> int:
        """Return the gas limit for the relayer's call. Raises Reverted."""
        return self._node.gas(call, sender=self.relayer) * (100 + GAS_MARGIN_PERCENT) // 100

    def sign(self, call: Call, *, nonce: int, gas: int, fees: Fees) -> SignedTransaction:
        """Return the call as the relayer's signed transaction; nothing is sent."""
        fields: dict[str, Any] = {
            "type": DYNAMIC_FEE,
            "chainId": self.deployment.chain_id,
            "nonce": nonce,
            "to": checksummed(call.to),
            "value": 0,
            "data": call.data,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.tip,
        }
        raw = bytes(Account.sign_transaction(fields, self._relayer.secret).raw_transaction)
        return SignedTransaction(raw=raw, hash=keccak256(raw))

    def broadcast(self, raw: bytes) -> None:
        """Hand a signed transaction to the node.

        Raises NodeRefused, ChainUnreachable (it may have arrived).
        """
        self._node.broadcast(raw)

    def receipt(self, tx_hash: bytes) -> Receipt | None:
        """Return a mined transaction's receipt, None where it is not mined."""
        return self._node.receipt(tx_hash)

    def fuel(self) -> int:
        """Return what the relayer has for gas, in wei."""
        return self._node.ether(self.relayer)

    def fill_relayer(self) -> None:
        """Give the relayer ether for gas from the node's first account. For development chains only."""
        if self.fuel() < DEV_ETHER // 10:
            self._node.send_from_first_account(self.relayer, wei=DEV_ETHER)

    def _read(self, call: Call, *types: str, at: int | None = None) -> tuple[Any, ...]:
        return tuple(decode(types, self._node.read(call, at=at)))


def _slot(answer: bytes) -> Slot:
    paid, tail, claim_by, funded_bps, status = decode(SLOT, answer)
    return Slot(paid, tail, claim_by, funded_bps, Status(status))


def _raised(fee: int) -> int:
    return -(-fee * (100 + BUMP_PERCENT) // 100)
