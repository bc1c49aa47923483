"""The rentals that a machine has taken up: each is begun once, carried to its end, and outlives a restart."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from hireling.device.engagement import Engagement
from hireling.device.log import RentalLog
from hireling.device.log_contents import LogEmpty
from hireling.device.pricing import Pricing
from hireling.device.record_file import LogDamaged
from hireling.device.settling import BillWrong
from hireling.device.tools import Tools
from hireling.mandate_ledger import MandateLedger
from hireling.rental.errors import RentalError
from hireling.rental.typed_data import to_hex

Spawn = Callable[[Coroutine[Any, Any, None]], None]
"""Begins something that runs beside everything else, and ends with the agent."""


@dataclass(frozen=True)
class Outcome:
    """How a finished rental ended."""

    rental_id: bytes
    has_bill: bool


class Rentals:
    """Takes up rentals and carries them."""

    def __init__(
        self,
        tools: Tools,
        *,
        ledger: MandateLedger,
        pricing: Pricing | None,
        spawn: Spawn,
        on_end: Callable[[Outcome], None],
    ) -> None:
        """``on_end`` is told of each rental that has come to its end."""
        self._tools = tools
        self._ledger = ledger
        self._pricing = pricing
        self._spawn = spawn
        self._on_end = on_end
        self._engagements: dict[bytes, Engagement] = {}
        self._known: set[bytes] = set()

    def of(self, rental_id: bytes) -> list[Engagement]:
        """Return the engagement that is a rental's: one, or none where it is another's or over."""
        found = self._engagements.get(rental_id)
        return [found] if found else []

    def all(self) -> list[Engagement]:
        """Return those that are not over."""
        return list(self._engagements.values())

    def knows(self, rental_id: bytes) -> bool:
        """Return whether a rental was taken up or turned down before."""
        return rental_id in self._known

    async def take_up(self, rental_id: bytes) -> None:
        """Begin a rental, unless its agreement is not for this machine to keep. Raises PlatformError."""
        agreement = await self._tools.platform.agreement(rental_id)
        self._known.add(rental_id)
        try:
            agreement.check(self._tools.clock.now())
        except RentalError as error:
            self._tools.announce(
                "agreement_refused", rental_id=to_hex(rental_id), code=error.code, detail=str(error)
            )
            return
        if (
            agreement.rental_id != rental_id
            or agreement.agreement.pay.meter != self._tools.meter_key.identity
        ):
            self._tools.announce(
                "agreement_refused",
                rental_id=to_hex(rental_id),
                code="other_device",
                detail="not for this machine",
            )
            return
        # Before anything else: what was promised must not lapse while the machine serves it.
        try:
            await asyncio.to_thread(self._ledger.note_opened, rental_id)
        except (OSError, sqlite3.Error) as error:
            self._known.discard(rental_id)  # The next look tries again.
            self._tools.announce("ledger_refuses", rental_id=to_hex(rental_id), detail=str(error))
            return
        self._tools.announce("agreed", rental_id=to_hex(rental_id), all_in=agreement.agreement.all_in)
        self._start(Engagement(self._tools, agreement))

    def resume(self) -> None:
        """Go on with every rental that an earlier run has left in its log."""
        logs = list(self._logs())
        # Of two whose time has come the machine serves the earlier first, and before both what it began.
        logs.sort(key=lambda log: (log.last is None, log.start.agreement.agreement.pay.start_at))
        for log in logs:
            self._known.add(log.rental_id)
            self._tools.announce(
                "resumed_from_log", rental_id=to_hex(log.rental_id), seq=log.last.seq if log.last else None
            )
            self._start(Engagement(self._tools, log.start.agreement, log))

    def _logs(self) -> Iterator[RentalLog]:
        for path in sorted(self._tools.folder.glob("*.log")):
            try:
                log = RentalLog.open(path)
            except LogEmpty as error:
                # Nothing was served under it: the rental begins from the marketplace's word, as if new.
                self._tools.announce("log_empty", detail=str(error))
                path.unlink()
                continue
            except LogDamaged as error:
                # Going on could sign a number twice: this rental ends by its deadlines, the others go on.
                self._tools.announce("log_damaged", rental_id=f"0x{path.stem}", detail=str(error))
                self._known.add(bytes.fromhex(path.stem))
                continue
            if log.cut is not None:
                self._tools.announce("log_cut", rental_id=to_hex(log.rental_id), detail=log.cut)
            yield log

    def _start(self, engagement: Engagement) -> None:
        self._engagements[engagement.rental_id] = engagement
        self._spawn(self._carry(engagement))

    async def _carry(self, engagement: Engagement) -> None:
        try:
            cost = await engagement.run()
        except BillWrong as error:
            self._tools.announce("bill_refused", rental_id=to_hex(engagement.rental_id), detail=str(error))
            cost = None
        else:
            await self._give_back(engagement.rental_id, cost)
            if self._pricing is not None and cost is not None:
                self._pricing.note_earned(cost)
        del self._engagements[engagement.rental_id]
        self._on_end(Outcome(rental_id=engagement.rental_id, has_bill=engagement.has_bill))

    async def _give_back(self, rental_id: bytes, cost: int | None) -> None:
        """Free what the rental did not use of the owner's mandate: all of it, where it came to nothing.

        Where the disk does not take it, the mandate goes on counting all that was reserved.
        """
        try:
            await asyncio.to_thread(self._ledger.note_done, rental_id, spent=cost or 0)
        except (OSError, sqlite3.Error) as error:
            self._tools.announce("ledger_refuses", rental_id=to_hex(rental_id), detail=str(error))
