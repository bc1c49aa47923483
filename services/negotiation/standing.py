"""How sessions stand, told as the text that was kept of them. Pure.

What is told are documents that were checked when they came and have not changed since: reading, checking and
writing them again at each move, for each side, cost more than the move did.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from hireling.rental.typed_data import from_hex
from services.messages.negotiation import QuoteStatus, Side, WonPrice
from services.negotiation.session import status_at, turn_of
from services.negotiation.wire import Mover, how_many_fit, movers_between


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A session as its rows have it; documents as JSON."""

    quote_id: str
    device: str
    status: QuoteStatus
    answer_by: datetime
    request: str
    made: int
    offers: tuple[str, ...]
    """The last ones."""
    signed_by: tuple[Side, ...]
    rental_id: str | None
    won: WonPrice | None
    appointment: str | None
    """By which the platform's delegate speaks for the owner, as JSON."""

    @property
    def movers(self) -> tuple[Mover, Mover]:
        """Return the session's two sides."""
        return movers_between(self.device, from_hex(json.loads(self.request)["renter_agent"]))

    def told(self, now: datetime) -> str:
        """Return a SessionView as JSON: `wire.written` of the session, without parsing what it says."""
        status = status_at(now, self.status, answer_by=self.answer_by)
        rest = {
            "quote_id": self.quote_id,
            "status": status.value,
            "turn": turn_of(status, made=self.made, signed_by=self.signed_by),
            "signed_by": self.signed_by,
            "rental_id": self.rental_id,
            "won": self.won.model_dump(mode="json") if self.won else None,
            "made": self.made,
        }
        offers = ",".join(self.offers[len(self.offers) - how_many_fit(self.offers) :])
        documents = (
            f'"request": {self.request}, "appointment": {self.appointment or "null"}, "offers": [{offers}]'
        )
        return f"{json.dumps(rest)[:-1]}, {documents}}}"
