"""The device's agent.

It lists the machine, bargains for it, serves one rental after the other, and forgets nothing across restarts.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from hireling.clock import growing
from hireling.device.bidder import Bidder
from hireling.device.listener import DeviceListener
from hireling.device.moves import MovesOverMqtt
from hireling.device.negotiator import Negotiator
from hireling.device.presence import Presence
from hireling.device.pricing import Pricing
from hireling.device.reminding import Reminding
from hireling.device.rentals import Outcome, Rentals
from hireling.device.tools import Tools
from hireling.mandate_ledger import MandateLedger
from hireling.platform_errors import PlatformError, PlatformRefused
from hireling.platform_views import QuoteView
from hireling.rental.slot import Slot
from hireling.rental.states import TERMINAL

POLL_SECONDS = 15.0
ARRIVE_AGAIN_SECONDS = 2.0
# Just after somebody was at the table.
POLL_AT_THE_TABLE_SECONDS = 1.0
# While the broker tells of everything, a word of its may be lost all the same.
POLL_WHERE_TOLD_SECONDS, AT_THE_TABLE_WHERE_TOLD_SECONDS = 30.0, 5.0


class DeviceAgent:
    """Runs one machine."""

    def __init__(
        self,
        *,
        tools: Tools,
        presence: Presence,
        negotiator: Negotiator,
        ledger: MandateLedger,
        moves: MovesOverMqtt | None = None,
        pricing: Pricing | None = None,
        bidder: Bidder | None = None,
    ) -> None:
        """``moves`` are the negotiator's; without them it bargains by HTTP alone."""
        self._moves = moves
        self._tools = tools
        self._presence = presence
        self._negotiator = negotiator
        self._pricing = pricing
        self._bidder = bidder
        self._reminding = Reminding(platform=tools.platform, clock=tools.clock, announce=tools.announce)
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()
        self._must_ask = True
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._failure: asyncio.Future[None] | None = None
        self._rentals = Rentals(
            tools, ledger=ledger, pricing=pricing, spawn=self._spawn, on_end=self._note_outcome
        )
        self.listener = DeviceListener(
            tools,
            rentals=self._rentals,
            moves=moves,
            spawn=self._spawn,
            ask=self._ask,
            look=self._look.set,
        )
        """What hears the broker for it."""

    async def run_for_ever(self) -> None:
        """Serve until cancelled."""
        await self._run(None)

    async def run_once(self) -> Outcome:
        """Serve until one rental has come to its end, and return how."""
        outcome = await self._run(self._outcomes)
        if outcome is None:
            raise RuntimeError("run_once ended without a rental")
        return outcome

    async def _run(self, outcomes: "asyncio.Queue[Outcome] | None") -> Outcome | None:
        self._failure = asyncio.get_running_loop().create_future()
        self._rentals.resume()
        self._spawn(self._tools.line.run(self.listener))
        try:
            # A rental in progress goes on even while the marketplace cannot be reached.
            self._spawn(self._attend())
            return await self._first_outcome(outcomes or asyncio.Queue[Outcome](), self._failure)
        finally:
            await self._stop_tasks()

    async def _first_outcome(
        self, outcomes: "asyncio.Queue[Outcome]", failure: "asyncio.Future[None]"
    ) -> Outcome:
        wanted = asyncio.create_task(outcomes.get())
        failure.add_done_callback(lambda _: wanted.cancel())
        try:
            return await wanted
        except asyncio.CancelledError:
            if failure.done():
                failure.result()
            raise

    async def _attend(self) -> None:
        await self._arrive()
        self._spawn(self._presence.stay())
        if self._bidder is not None:
            self._spawn(self._bidder.stay())
        pauses = self._pauses(is_busy=False)
        loop, ask_at, is_cut_off = asyncio.get_running_loop(), 0.0, False
        while True:
            self._look.clear()
            asks, self._must_ask = self._must_ask, False
            try:
                is_busy = await (self._look_for_work() if asks else self._bargain_by_news())
            except PlatformError as error:
                self._tools.announce("platform_unreachable", detail=str(error))
                is_busy, is_cut_off = not is_cut_off, True
            else:
                is_cut_off = False
            # After every question that waited has an answer: nobody asks in vain because of a new price.
            if self._pricing is not None:
                is_bound = self._bidder is not None and self._bidder.is_bound
                await self._pricing.turn(self._presence, is_free=self._stands_ready(), is_bound=is_bound)
            if is_busy:
                pauses = self._pauses(is_busy=True)
            if asks or is_busy:  # else what only looks at news would put it off for ever
                ask_at = loop.time() + self._no_longer_than_told(next(pauses))
            try:
                async with asyncio.timeout_at(ask_at):
                    await self._look.wait()
            except TimeoutError:
                self._must_ask = True

    def _pauses(self, *, is_busy: bool) -> Iterator[float]:
        """Return how long to wait from now on between two looks at what waits here."""
        busy = AT_THE_TABLE_WHERE_TOLD_SECONDS if self._is_told else POLL_AT_THE_TABLE_SECONDS
        return growing(busy if is_busy else POLL_WHERE_TOLD_SECONDS, longest=POLL_WHERE_TOLD_SECONDS)

    def _no_longer_than_told(self, pause: float) -> float:
        """Return a pause, cut short where the broker would not tell meanwhile."""
        return pause if self._is_told else min(pause, POLL_SECONDS)

    @property
    def _is_told(self) -> bool:
        return self._moves is not None and self._tools.line.is_up

    async def _arrive(self) -> None:
        while True:
            try:
                await self._presence.arrive()
            except PlatformRefused:
                raise
            except PlatformError as error:
                self._tools.announce("platform_unreachable", detail=str(error))
                await self._tools.clock.sleep(ARRIVE_AGAIN_SECONDS)
            else:
                return

    async def _look_for_work(self) -> bool:
        """Ask what waits here and see to it; return whether somebody bargains. Raises PlatformError."""
        work = await self._tools.platform.work(self._presence.device)
        for rental in work.rentals:
            if rental.state not in TERMINAL and not self._rentals.knows(rental.rental_id):
                await self._rentals.take_up(rental.rental_id)
                if self._pricing is not None:
                    self._pricing.note_deal(rental.quote_id)
        await self._reminding.remind(self._rentals.all(), known={rental.rental_id for rental in work.rentals})
        # Only now: an answer may be long in coming, and a renter who paid waits for the machine.
        return self._takes_questions() and await self._bargain(self._newest(work.quotes))

    async def _bargain_by_news(self) -> bool:
        """Answer the sessions that the broker told of, whole: nothing need be asked. Raises PlatformError."""
        return self._takes_questions() and await self._bargain(self._newest(()))

    def _newest(self, quotes: Sequence[QuoteView]) -> Iterable[QuoteView]:
        """Return these and what the broker told of, each session once and as it stands by the latest word."""
        if self._moves is None:
            return quotes
        for quote in quotes:
            self._moves.note(quote)
        return {quote.quote_id: quote for quote in (*quotes, *self._moves.take_news())}.values()

    async def _bargain(self, quotes: Iterable[QuoteView]) -> bool:
        """Answer each; return whether there was any."""
        has_bargained = False
        for quote in quotes:
            await self._negotiator.answer(quote)
            has_bargained = True
        return has_bargained

    def _takes_questions(self) -> bool:
        return self._tools.bookings.takes_questions(now=self._tools.clock.now())

    def _stands_ready(self) -> bool:
        """Return whether the machine is promised to nobody at this moment."""
        now = self._tools.clock.now()
        second = int(now.timestamp())
        return self._tools.bookings.is_free(Slot(start=second, end=second + 1), now=now)

    def _note_outcome(self, outcome: Outcome) -> None:
        self._outcomes.put_nowait(outcome)
        self._ask()

    def _ask(self) -> None:
        """Have the marketplace asked now what waits here."""
        self._must_ask = True
        self._look.set()

    # -- tasks -----------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        # A part that broke ends the agent: the log holds everything, and a restart goes on from it.
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
