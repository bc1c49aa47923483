"""What an agent asks the escrow itself, taking nobody's word for it: its one slot of each rental."""

from hireling.json_rpc import ChainUnreachable, JsonRpc
from hireling.rental.escrow_math import Slot, Status
from hireling.rental.hashing import keccak256

RENTALS = keccak256(b"rentals(bytes32)")[:4]
WORD = 32


async def slot_of(rpc: JsonRpc, *, escrow: bytes, rental_id: bytes, block: int | None = None) -> Slot:
    """Return a rental's slot in a block, or in the newest.

    Raises ChainUnreachable when no escrow is there.
    """
    return decode_slot(await rpc.read(escrow, RENTALS + rental_id, block=block))


def decode_slot(answer: bytes) -> Slot:
    """Return the slot in an answer of ``rentals(bytes32)``.

    Raises ChainUnreachable when it is no such answer.
    """
    if len(answer) != 5 * WORD:
        raise ChainUnreachable(
            f"the escrow's answer is {len(answer)} bytes long where 160 were due: no escrow there?"
        )
    paid, tail, claim_by, funded_bps, status = (
        int.from_bytes(answer[i : i + WORD]) for i in range(0, 5 * WORD, WORD)
    )
    return Slot(paid=paid, tail=tail, claim_by=claim_by, funded_bps=funded_bps, status=Status(status))
