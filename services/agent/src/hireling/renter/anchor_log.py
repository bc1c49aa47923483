"""What the chain itself says of a day's root, taking nobody's word for it."""

from dataclasses import dataclass

from hireling.json_rpc import JsonRpc
from hireling.rental.anchoring import ROOT_ANNOUNCED, Announcement

WORD = 32


@dataclass(frozen=True)
class Announced:
    """A root as the chain holds it: in which block, how many blocks deep (1: the newest), and when.

    ``time`` is the block's, Unix seconds.
    """

    root: bytes
    transaction: bytes
    block: int
    depth: int
    time: int


async def first_announced(
    rpc: JsonRpc, where: Announcement, batch: bytes, *, from_block: int
) -> Announced | None:
    """Return what the publisher announced first for a batch from a block on, None for nothing yet.

    Only the first counts: whoever announces another root later changes nothing. Raises ChainUnreachable.
    """
    height = await rpc.height()
    topics = [ROOT_ANNOUNCED, where.publisher.rjust(WORD, b"\0")]
    for log in await rpc.logs(where.contract, topics, first=from_block, last=height):
        if log.data[:WORD] == batch:
            return Announced(
                root=log.data[WORD : 2 * WORD],
                transaction=log.transaction,
                block=log.block,
                depth=height - log.block + 1,
                time=await rpc.block_time(log.block),
            )
    return None
