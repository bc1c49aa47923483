"""The device's agent.

It lists the machine, bargains for it, serves one rental after the other, and forgets nothing across restarts.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from hireling.clock import growing
from hireling.device.bidder import Bidder
from hireling.device.engagement import Engagement, Tools
from hireling.device.log import RentalLog
from hireling.device.log_contents import LogEmpty
from hireling.device.moves import MovesOverMqtt
from hireling.device.negotiator import Negotiator
from hireling.device.presence import Presence
from hireling.device.pricing import Pricing
from hireling.device.record_file import LogDamaged
from hireling.device.reminding import Reminding
from hireling.device.settling import BillWrong
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import topic_of
from hireling.platform_errors import PlatformError, PlatformRefused
from hireling.platform_views import QuoteView
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.encoding import parse
from hireling.rental.errors import Malformed, RentalError
from hireling.rental.slot import Slot
from hireling.rental.states import TERMINAL
from hireling.rental.topics import TOPICS, Ack, Answer, Ask, Notice, Refusal

POLL_SECONDS = 15.0
ARRIVE_AGAIN_SECONDS = 2.0
# Just after somebody was at the table: a notice may be lost.
POLL_AT_THE_TABLE_SECONDS = 1.0
# Whoever else writes to the device's topic shall not silence it.
LONGEST_WAIT_SECONDS = 60.0
WORDS = tuple(topic.word for topic in TOPICS if "device" in topic.listeners)


@dataclass(frozen=True)
class Outcome:
    """How a finished rental ended."""

    rental_id: bytes
    has_bill: bool


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
        self._ledger = ledger
        self._tools = tools
        self._presence = presence
        self._negotiator = negotiator
        self._pricing = pricing
        self._bidder = bidder
        self._reminding = Reminding(platform=tools.platform, clock=tools.clock, announce=tools.announce)
        self._engagements: dict[bytes, Engagement] = {}
        self._known: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._look = asyncio.Event()
        self._must_ask = True
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._failure: asyncio.Future[None] | None = None
        self._acts: dict[str, Callable[[bytes], None]] = {
            "notices": self._on_notice,
            "acks": self._on_ack,
            "refusals": self._on_refusal,
            "ceilings": self._on_ceiling,
            "unlock/ask": self._on_ask,
            "unlock/answer": self._on_answer,
            "answers": self._on_move_answer,
            "sessions": self._on_session,
        }

    @staticmethod
    def topics(device: bytes) -> list[str]:
        """Return what the agent listens to."""
        return [topic_of(device, word) for word in WORDS]

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
        self._resume_logs()
        self._spawn(self._tools.line.run(self))
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
        pauses = growing(POLL_SECONDS, longest=POLL_SECONDS)
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
                pauses = growing(POLL_AT_THE_TABLE_SECONDS, longest=POLL_SECONDS)
            if asks or is_busy:  # else what only looks at news would put it off for ever
                ask_at = loop.time() + next(pauses)
            try:
                async with asyncio.timeout_at(ask_at):
                    await self._look.wait()
            except TimeoutError:
                self._must_ask = True

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
            if rental.rental_id not in self._known and rental.state not in TERMINAL:
                await self._engage(rental.rental_id)
                if self._pricing is not None:
                    self._pricing.note_deal(rental.quote_id)
        await self._reminding.remind(
            list(self._engagements.values()), known={rental.rental_id for rental in work.rentals}
        )
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

    async def _engage(self, rental_id: bytes) -> None:
        agreement = await self._tools.platform.agreement(rental_id)
        self._known.add(rental_id)
        try:
            agreement.check(self._tools.clock.now())
        except RentalError as error:
            self._tools.announce(
                "agreement_refused", rental_id=_hex(rental_id), code=error.code, detail=str(error)
            )
            return
        if (
            agreement.rental_id != rental_id
            or agreement.agreement.pay.meter != self._tools.meter_key.identity
        ):
            self._tools.announce(
                "agreement_refused",
                rental_id=_hex(rental_id),
                code="other_device",
                detail="not for this machine",
            )
            return
        # Before anything else: what was promised must not lapse while the machine serves it.
        try:
            await asyncio.to_thread(self._ledger.note_opened, rental_id)
        except (OSError, sqlite3.Error) as error:
            self._known.discard(rental_id)  # The next look tries again.
            self._tools.announce("ledger_refuses", rental_id=_hex(rental_id), detail=str(error))
            return
        self._tools.announce("agreed", rental_id=_hex(rental_id), all_in=agreement.agreement.all_in)
        self._start(Engagement(self._tools, agreement))

    def _resume_logs(self) -> None:
        logs = list(self._logs())
        # Of two whose time has come the machine serves the earlier first, and before both what it began.
        logs.sort(key=lambda log: (log.last is None, log.start.agreement.agreement.pay.start_at))
        for log in logs:
            self._known.add(log.rental_id)
            self._tools.announce(
                "resumed_from_log", rental_id=_hex(log.rental_id), seq=log.last.seq if log.last else None
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
                self._tools.announce("log_cut", rental_id=_hex(log.rental_id), detail=log.cut)
            yield log

    def _start(self, engagement: Engagement) -> None:
        self._engagements[engagement.rental_id] = engagement
        self._spawn(self._carry(engagement))

    async def _carry(self, engagement: Engagement) -> None:
        try:
            cost = await engagement.run()
        except BillWrong as error:
            self._tools.announce("bill_refused", rental_id=_hex(engagement.rental_id), detail=str(error))
            cost = None
        else:
            await self._give_back(engagement.rental_id, cost)
            if self._pricing is not None and cost is not None:
                self._pricing.note_earned(cost)
        del self._engagements[engagement.rental_id]
        self._outcomes.put_nowait(Outcome(rental_id=engagement.rental_id, has_bill=engagement.has_bill))
        self._ask()

    async def _give_back(self, rental_id: bytes, cost: int | None) -> None:
        """Free what the rental did not use of the owner's mandate: all of it, where it came to nothing.

        Where the disk does not take it, the mandate goes on counting all that was reserved.
        """
        try:
            await asyncio.to_thread(self._ledger.note_done, rental_id, spent=cost or 0)
        except (OSError, sqlite3.Error) as error:
            self._tools.announce("ledger_refuses", rental_id=_hex(rental_id), detail=str(error))

    # -- what the broker brings ------------------------------------------------------------------------------

    def on_line_up(self) -> None:
        """Look for what was missed while the line was down."""
        self._ask()
        for engagement in self._engagements.values():
            engagement.on_line_up()

    def on_message(self, topic: str, payload: bytes) -> None:
        """Act on a message; one that is not understood is announced and ignored."""
        word = topic.partition(f"hireling/{_hex(self._presence.device)}/")[2]
        try:
            if act := self._acts.get(word):
                act(payload)
        except ValidationError as error:
            first = error.errors()[0]
            self._tools.announce("message_ignored", topic=topic, reason=f"{first['loc']}: {first['msg']}")
        except Malformed as error:
            self._tools.announce("message_ignored", topic=topic, reason=error.detail)

    def _on_notice(self, payload: bytes) -> None:
        notice = Notice.model_validate_json(payload)
        if notice.type == "flagged":
            self._tools.announce(
                "flagged",
                rental_id=None if notice.rental_id is None else _hex(notice.rental_id),
                seq=notice.seq,
                code=notice.code,
                reason=notice.reason,
            )
            return
        if notice.rental_id is not None and notice.rental_id in self._known:
            for engagement in self._engaged(notice.rental_id):
                engagement.on_rental_changed()
        elif not self._hears_of_offer(notice):
            self._ask()

    def _hears_of_offer(self, notice: Notice) -> bool:
        """Return whether the broker brings the very offer that a notice tells of."""
        is_of_offer = notice.type in {"quote_requested", "offer_made"} and notice.quote_id is not None
        return is_of_offer and self._moves is not None and self._moves.hears_of(str(notice.quote_id))

    def _on_ack(self, payload: bytes) -> None:
        ack = Ack.model_validate_json(payload)
        for engagement in self._engaged(ack.rental_id):
            engagement.on_ack(ack.seq)

    def _on_refusal(self, payload: bytes) -> None:
        refused = Refusal.model_validate_json(payload)
        if refused.wait_ms is not None:
            # It counts what the device sends, of whichever rental.
            for engagement in self._engagements.values():
                engagement.on_rate_limited(min(refused.wait_ms / 1000, LONGEST_WAIT_SECONDS))
        elif refused.rental_id is not None and refused.seq is not None:
            for engagement in self._engaged(refused.rental_id):
                was_forgotten = engagement.is_forgotten
                engagement.on_refusal(seq=refused.seq, code=refused.code, detail=refused.detail)
                if engagement.is_forgotten and not was_forgotten:
                    self._ask()
        else:
            self._tools.announce("message_refused", code=refused.code, detail=refused.detail)

    def _on_ceiling(self, payload: bytes) -> None:
        signed = parse(SignedCeiling, payload)
        for engagement in self._engaged(signed.ceiling.rental_id):
            challenge = engagement.on_ceiling(signed)
            if challenge is not None:
                self._spawn(engagement.send_challenge(challenge))

    def _on_ask(self, payload: bytes) -> None:
        ask = Ask.model_validate_json(payload)
        for engagement in self._engaged(ask.rental_id):
            challenge = engagement.on_ask(ask)
            if challenge is not None:
                self._spawn(engagement.send_challenge(challenge))

    def _on_answer(self, payload: bytes) -> None:
        answer = Answer.model_validate_json(payload)
        for engagement in self._engaged(answer.rental_id):
            engagement.on_answer(answer)

    def _on_move_answer(self, payload: bytes) -> None:
        if self._moves is not None:
            self._moves.on_answer(payload)

    def _on_session(self, payload: bytes) -> None:
        if self._moves is not None and self._moves.on_session(payload):
            self._look.set()

    def _ask(self) -> None:
        """Have the marketplace asked now what waits here."""
        self._must_ask = True
        self._look.set()

    def _engaged(self, rental_id: bytes) -> list[Engagement]:
        """Return the engagement a message is for: one, or none when it is another's or over."""
        found = self._engagements.get(rental_id)
        return [found] if found else []

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


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
