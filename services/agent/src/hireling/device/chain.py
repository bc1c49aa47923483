"""What the device asks the chain itself, taking nobody's word for it: is the renter's money really there?"""

from dataclasses import dataclass

from hireling.escrow_slots import slot_of
from hireling.json_rpc import JsonRpc
from hireling.rental.agreement import SignedAgreement
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.typed_data import Domain

FULLY_FUNDED_BPS = 10_000


class NotFunded(Exception):
    """The chain does not hold the money, or not deeply enough yet; asking again later may change that.

    ``block`` is the one that was looked at.
    """

    def __init__(self, message: str, *, block: int | None = None) -> None:
        super().__init__(message)
        self.block = block


class WrongChain(Exception):
    """The node belongs to another chain than the agreement."""


@dataclass(frozen=True)
class Funding:
    """What the chain says, k blocks deep."""

    slot: Slot
    block: int


class EscrowReader:
    """Reads the escrow's one slot per rental."""

    def __init__(self, rpc: JsonRpc, *, confirmations: int) -> None:
        """``confirmations`` (>= 1): 1 believes the newest block, k only what lies under k - 1 more."""
        self._rpc = rpc
        self._confirmations = confirmations

    async def funding(self, agreement: SignedAgreement, *, after: int | None = None) -> Funding:
        """Return the rental's slot, open and fully funded. Raises NotFunded, WrongChain, ChainUnreachable.

        In block ``after`` it was not: while that is still the newest to believe in, no more is asked. Which
        chain it is, is asked at the first look, where it grew shorter, and before the money is believed in.
        """
        domain = agreement.domain
        block = await self._rpc.height() - (self._confirmations - 1)
        if block < 0:
            raise NotFunded(f"the chain is not yet {self._confirmations} blocks long")
        if block == after:
            raise NotFunded(f"no block after {block} is deep enough yet", block=block)
        if after is None or block < after:
            await self._require_chain(domain)
        slot = await self.slot(domain.escrow, agreement.rental_id, block=block)
        if not slot.has(Status.OPEN):
            raise NotFunded(
                f"no money for this rental in block {block} (status {int(slot.status)})", block=block
            )
        if slot.funded_bps < FULLY_FUNDED_BPS:
            raise NotFunded(
                f"funded to {slot.funded_bps} of {FULLY_FUNDED_BPS} basis points in block {block}",
                block=block,
            )
        if after is not None:
            await self._require_chain(domain)
        return Funding(slot=slot, block=block)

    async def _require_chain(self, domain: Domain) -> None:
        chain_id = await self._rpc.chain_id()
        if chain_id != domain.chain_id:
            raise WrongChain(f"the node is on chain {chain_id}, the agreement on chain {domain.chain_id}")

    async def slot(self, escrow: bytes, rental_id: bytes, *, block: int | None = None) -> Slot:
        """Return a rental's slot in a block, or in the newest.

        Raises ChainUnreachable when no escrow is there.
        """
        return await slot_of(self._rpc, escrow=escrow, rental_id=rental_id, block=block)
