"""What the token's own contract says of authorisations, taking nobody's word for it."""

from dataclasses import dataclass
from itertools import pairwise

from hireling.json_rpc import EventLog, JsonRpc
from hireling.rental.hashing import keccak256

BALANCE_OF = keccak256(b"balanceOf(address)")[:4]
AUTHORIZATION_STATE = keccak256(b"authorizationState(address,bytes32)")[:4]
AUTHORIZATION_USED = keccak256(b"AuthorizationUsed(address,bytes32)")
AUTHORIZATION_CANCELED = keccak256(b"AuthorizationCanceled(address,bytes32)")
TRANSFER = keccak256(b"Transfer(address,address,uint256)")
WORD = 32
# So many blocks are searched at once: nodes answer no eth_getLogs over more than a few thousand.
MOST_BLOCKS = 2_000


@dataclass(frozen=True)
class Transfer:
    """A transfer that an authorisation is for."""

    sender: bytes
    recipient: bytes
    value: int
    nonce: bytes


@dataclass(frozen=True)
class CarriedOut:
    """The chain holds it, deeply enough."""

    transaction: bytes


@dataclass(frozen=True)
class NeverAgain:
    """It was not carried out, and cannot be any more."""

    reason: str


@dataclass(frozen=True)
class SearchedUpTo:
    """Nothing was found before this block, and there are blocks that count from it on."""

    block: int


class Token:
    """One ERC-20 token with ERC-3009."""

    def __init__(self, rpc: JsonRpc, address: bytes, *, confirmations: int) -> None:
        """``confirmations`` blocks must follow before the chain's word counts."""
        self._rpc = rpc
        self._address = address
        self._confirmations = confirmations

    async def height(self) -> int:
        """Return the newest block that counts. Raises ChainUnreachable, as all of these do."""
        return max(0, await self._rpc.height() - self._confirmations)

    async def time(self) -> int:
        """Return the Unix time of the newest block that counts."""
        return await self._rpc.block_time(await self.height())

    async def balance(self, holder: bytes) -> int:
        """Return what an address holds now, in base units."""
        return int.from_bytes(await self._rpc.read(self._address, BALANCE_OF + _padded(holder)))

    async def is_used(self, authorizer: bytes, nonce: bytes) -> bool:
        """Return whether a nonce counts as used now, for a transfer or by cancelling."""
        answer = await self._rpc.read(self._address, AUTHORIZATION_STATE + _padded(authorizer) + nonce)
        return any(answer)

    async def outcome(
        self, transfer: Transfer, *, since: int, valid_before: int | None
    ) -> CarriedOut | NeverAgain | SearchedUpTo | None:
        """Return what became of an authorisation that was unused in block ``since``; None: it is still open.

        SearchedUpTo: ask again, from there.

        ``valid_before`` None: whoever signed it may sign it again, so that it never lapses.
        """
        deep = await self.height()
        if deep < since:
            return None
        last = min(deep, since + MOST_BLOCKS - 1)
        for kind in (AUTHORIZATION_USED, AUTHORIZATION_CANCELED):
            topics = (kind, _padded(transfer.sender), transfer.nonce)
            for log in await self._rpc.logs(self._address, topics, first=since, last=last):
                if kind == AUTHORIZATION_USED and await self._moved(log.transaction, transfer):
                    return CarriedOut(transaction=log.transaction)
                return NeverAgain("its nonce was used for something else, or cancelled")
        if last < deep:
            return SearchedUpTo(last + 1)
        if valid_before is not None and await self._rpc.block_time(deep) >= valid_before:
            return NeverAgain("it lapsed unused")
        return None

    async def _moved(self, transaction: bytes, transfer: Transfer) -> bool:
        """Return whether the use of the nonce is this very transfer.

        A payer may sign two authorisations under one nonce, and a contract may add transfers beside: only the
        log right after AuthorizationUsed is the authorised transfer's.
        """
        logs = await self._rpc.transaction_logs(transaction)
        used = (AUTHORIZATION_USED, _padded(transfer.sender), transfer.nonce)
        wanted = (TRANSFER, _padded(transfer.sender), _padded(transfer.recipient))
        return any(
            self._says(first, used)
            and self._says(second, wanted)
            and second.data == transfer.value.to_bytes(WORD)
            for first, second in pairwise(logs)
        )

    def _says(self, log: EventLog, topics: tuple[bytes, ...]) -> bool:
        return log.contract == self._address and log.topics == topics


def _padded(address: bytes) -> bytes:
    return address.rjust(WORD, b"\0")
