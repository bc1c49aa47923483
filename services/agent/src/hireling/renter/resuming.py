"""Rentals that were interrupted go on one after the other, and what becomes of one holds up no other."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.handing_in import NotTakenBack, PaidOut
from hireling.json_rpc import ChainUnreachable
from hireling.keystore import KeystoreError
from hireling.mqtt_line import LineDown
from hireling.platform_errors import PlatformFault, PlatformRefused, PlatformUnreachable
from hireling.rental.errors import RentalError
from hireling.rental.typed_data import to_hex
from hireling.renter.book import Page, RenterBook
from hireling.renter.funding import FundingFailed
from hireling.renter.settling import BillRefused, Kept
from hireling.renter.wallet import TokenUnfit

UNANSWERED = (PlatformUnreachable, PlatformFault, ChainUnreachable, LineDown)
REFUSED = (
    NotTakenBack,
    PaidOut,
    FundingFailed,
    BillRefused,
    PlatformRefused,
    RentalError,
    KeystoreError,
    TokenUnfit,
)
# Who did not answer is asked once more, after the others' turn and at least so much later.
ASKED_AGAIN_AFTER_SECONDS = 5.0


class Outcome(Enum):
    """What became of a rental that was to go on; the words count several."""

    BILLED = "came to a bill"
    UNBILLED = "ended without one"
    REFUSED = "refused"
    UNANSWERED = "not answered"


class NotAllBilled(Exception):
    """Of the rentals that were to go on some did not come to a bill; the message counts them."""


class SomeUnanswered(NotAllBilled):
    """Of some it is not known what became of them: asking again later may tell."""


class Resuming:
    """Goes on with a book's unfinished rentals."""

    def __init__(
        self,
        *,
        book: RenterBook,
        carry: Callable[[Page], Awaitable[Kept | None]],
        clock: Clock,
        announce: Announce,
    ) -> None:
        """``carry`` brings one rental to its end, and raises as the renter's agent does."""
        self._book = book
        self._carry = carry
        self._clock = clock
        self._announce = announce

    async def resume(self) -> None:
        """Carry every unfinished rental on to its bill.

        Raises NotAllBilled once each had its turn; SomeUnanswered where another try is worth it.
        """
        outcomes = await self._go_on(page.agreement.rental_id for page in list(self._book.unfinished()))
        again = [rental_id for rental_id, outcome in outcomes.items() if outcome is Outcome.UNANSWERED]
        if again:
            await self._clock.sleep(ASKED_AGAIN_AFTER_SECONDS)
            outcomes |= await self._go_on(again)
        _require_bills(Counter(outcomes.values()))

    async def _go_on(self, rental_ids: Iterable[bytes]) -> dict[bytes, Outcome]:
        return {rental_id: await self._outcome(rental_id) for rental_id in rental_ids}

    async def _outcome(self, rental_id: bytes) -> Outcome:
        try:
            # From its page as it is now: an earlier try may have brought it further.
            kept = await self._carry(self._book.read(rental_id))
        except (*REFUSED, *UNANSWERED) as error:
            self._announce("not_resumed", rental_id=to_hex(rental_id), reason=str(error))
            if isinstance(error, UNANSWERED):
                return Outcome.UNANSWERED
            is_done = self._book.read(rental_id).stage == "done"
            return Outcome.UNBILLED if is_done else Outcome.REFUSED
        return Outcome.UNBILLED if kept is None else Outcome.BILLED


def _require_bills(counts: Counter[Outcome]) -> None:
    lacking = counts.total() - counts[Outcome.BILLED]
    if not lacking:
        return
    told = ", ".join(
        f"{counts[each]} {each.value}" for each in Outcome if each is not Outcome.BILLED and counts[each]
    )
    is_open = counts[Outcome.REFUSED] or counts[Outcome.UNANSWERED]
    said = f"{lacking} of {counts.total()} rentals did not come to a bill: {told}" + (
        "; `hireling rent --resume` goes on with those that are open" if is_open else ""
    )
    raise (SomeUnanswered if counts[Outcome.UNANSWERED] else NotAllBilled)(said)
