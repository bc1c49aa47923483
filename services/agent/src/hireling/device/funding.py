"""From an agreement to its money: a rental's log begins once the chain holds what was agreed."""

import asyncio
from datetime import UTC, datetime

from hireling.clock import comes_within, growing
from hireling.device.bookings import start_text
from hireling.device.chain import Funding, NotFunded, WrongChain
from hireling.device.log import RentalLog, log_path
from hireling.device.log_contents import Start
from hireling.device.record_file import NotKept
from hireling.device.tools import Tools
from hireling.json_rpc import ChainUnreachable
from hireling.rental.agreement import SignedAgreement
from hireling.rental.slot import Slot
from hireling.rental.typed_data import to_hex

# The marketplace tells of the money as soon as it is there; without it, this is how long it may take.
CHAIN_POLL_SECONDS, LONGEST_CHAIN_POLL_SECONDS = 1.0, 4.0


class FundingWatch:
    """Looks at the chain until an agreement's money is there, or its time for it is over.

    Of two agreements for the same time, the one whose money is seen first has it.
    """

    def __init__(self, tools: Tools, agreement: SignedAgreement, slot: Slot) -> None:
        """``slot`` is the stretch of the machine's time that the agreement takes."""
        self._tools = tools
        self._agreement = agreement
        self._slot = slot
        self._hint = asyncio.Event()

    def hurry(self) -> None:
        """Look now: what the marketplace tells is nothing but a reason to look."""
        self._hint.set()

    async def wait(self) -> RentalLog | None:
        """Return the new log of a rental that is paid; None where it was not paid in time."""
        said, looked_at = "", None
        pauses = growing(CHAIN_POLL_SECONDS, longest=LONGEST_CHAIN_POLL_SECONDS)
        while self._tools.clock.now() <= self._fund_by:
            try:
                funding = await self._tools.chain.funding(self._agreement, after=looked_at)
                return self._begin(funding)
            except (NotFunded, ChainUnreachable, WrongChain, NotKept) as error:
                if str(error) != said:
                    self._announce_obstacle(error)
                said = str(error)
                looked_at = error.block if isinstance(error, NotFunded) else None
                await comes_within(self._tools.clock, next(pauses), self._hint.wait())
                self._hint.clear()
        self._tools.announce("rental_expired", rental_id=self._id, reason="not funded in time")
        return None

    def _begin(self, funding: Funding) -> RentalLog:
        """Keep in a log that the rental is paid, and whether its time is another's. Raises NotKept."""
        rental_id = self._agreement.rental_id
        # The other one was funded first: a close over nothing gives this one's money back at once.
        refused = "slot_taken" if self._tools.bookings.is_lost(rental_id, self._slot) else None
        start = Start(self._agreement, funding.slot.funded_bps, refused)
        log = RentalLog.create(log_path(self._tools.folder, rental_id), start)
        self._tools.announce("funded_seen", rental_id=self._id, block=funding.block)
        if refused is None:
            self._tools.bookings.keep(rental_id, self._slot)
        else:
            self._tools.bookings.release(rental_id)
            self._tools.announce(refused, rental_id=self._id, start_at=start_text(self._agreement))
        return log

    def _announce_obstacle(self, error: Exception) -> None:
        if isinstance(error, NotKept):
            self._tools.announce("disk_refuses", rental_id=self._id, reason=str(error))
        elif not isinstance(error, NotFunded):
            self._tools.announce("chain_unclear", rental_id=self._id, detail=str(error))

    @property
    def _fund_by(self) -> datetime:
        return datetime.fromtimestamp(self._agreement.agreement.rules.fund_by, UTC)

    @property
    def _id(self) -> str:
        return to_hex(self._agreement.rental_id)
