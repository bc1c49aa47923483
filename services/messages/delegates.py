"""RPC words of the negotiation service on delegates.

make_delegate_key(device) -> DelegateKey             the same one until it is appointed; NotFound
appoint_delegate(order) -> SignedAppointment         idempotent; Refused: owner, key, bounds, mandate, domain
get_appointment(device) -> SignedAppointment         NotFound where none stands
get_delegate_moves(quote_id, inquiry) -> DelegateStory   Forbidden but for the owner who signed the inquiry
"""

from datetime import datetime
from typing import Any, Literal

from hireling.rental.typed_data import Bytes32, HexBytes
from services.messages.message import Message


class DelegateKey(Message):
    """The key that the platform made for a machine's delegate, by its address; it may nothing yet."""

    device: Bytes32
    delegate: HexBytes


class DelegateMove(Message):
    """What a delegate did in one of the owner's turns; ``round`` is how many offers there were."""

    round: int
    move: Literal["offer", "sign", "leave"]
    code: str | None
    reason: str
    made_at: datetime


class DelegateStory(Message):
    """All that a delegate did in a session.

    ``story`` is its record as an agent keeps its own, a ``hireling.decision_log.Story``; null where its
    strategy had nothing to decide.
    """

    quote_id: str
    moves: tuple[DelegateMove, ...]
    story: dict[str, Any] | None
