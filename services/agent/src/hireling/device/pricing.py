"""The owner's pricing agent at work: watches the machine, decides, keeps why, and lists anew.

In shadow it does all that but the last. Nothing that it does or fails to do keeps the machine from its work.
"""

from datetime import datetime, timedelta

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.device.presence import Presence
from hireling.device.price_bounds import kept_rules
from hireling.device.price_journal import Decided, Key, Mode, PriceJournal, decided_record
from hireling.device.record_file import NotKept, Record
from hireling.platform_errors import PlatformError
from hireling.pricing.deciding import Decision, Move, PriceView, decide
from hireling.pricing.phrases import reason_for
from hireling.pricing.rules import PriceRules
from hireling.rental.money import Token, format_amount
from hireling.rental.offer import OFFER_SECONDS

DECIDED_EVERY_MS = 300_000
KEPT_EVERY_SECONDS = 300
# A computer that slept, or a turn that was long in coming, says nothing of demand.
LONGEST_TURN_MS = 120_000
# Nobody answered for so long: the renter has gone.
SESSION_OVER_AFTER = timedelta(minutes=15)
LONGEST_HOLD_MS = 1_800_000


class Pricing:
    """One machine's pricing agent."""

    def __init__(
        self,
        *,
        mode: Mode,
        rules: PriceRules,
        unit: str,
        token: Token,
        journal: PriceJournal,
        clock: Clock,
        announce: Announce,
    ) -> None:
        self.rules = rules
        self._mode = mode
        self._unit = unit
        self._token = token
        self._journal = journal
        self._clock = clock
        self._announce = announce
        self._idle_ms = self._busy_ms = 0
        self._measured_ms: int | None = None
        self._decided_ms: int | None = None
        self._moved_ms: int | None = None
        self._held_ms: int | None = None
        self._hour = self._hour_now()
        self._refused = ""
        if journal.lost is not None:
            announce("price_history_damaged", detail=journal.lost)
        self._price = self._remembered_price()
        self._keep(self._bounds())

    @property
    def price(self) -> int:
        """Return the price to list for: in shadow the owner's own."""
        return self._price if self._mode == "on" else self.rules.listed

    async def turn(self, presence: Presence, *, is_free: bool, is_bound: bool = False) -> None:
        """Note how the time was used, decide when it is time to, and list anew what was decided.

        While the machine ``is_bound`` to its present listing, by a bid that names it, nothing is decided.
        """
        self._measure(is_free=is_free)
        self._end_sessions()
        if is_bound:
            return
        if self._mode == "on":
            await self._list(presence)
        if self._is_time_to_decide() and (self._mode == "shadow" or presence.price == self._price):
            self._decide()
            if self._mode == "on":
                await self._list(presence)

    def note_asked(self, session: str, price: int | None) -> None:
        """Note that a renter asked, under a listing of this price; the same session counts once."""
        seen = self._journal.seen
        if price is None or session in seen.open or session in seen.ended:
            return
        key = [self._hour, price, self._key()[2]]
        self._keep({"kind": "asked", "session": session, "key": key, "at": self._now_s()})

    def note_bid(self, session: str, offered: int) -> None:
        """Note what a renter offered."""
        one = self._journal.seen.open.get(session)
        if one is not None and one.offered != offered:
            self._keep({"kind": "bid", "session": session, "at": self._now_s(), "offered": offered})

    def note_deal(self, session: str) -> None:
        """Note that a session became a rental."""
        if session in self._journal.seen.open:
            self._keep({"kind": "ended", "session": session, "deal": True})

    def note_earned(self, amount: int) -> None:
        """Note what a bill came to."""
        self._keep({"kind": "earned", "key": list(self._key()), "amount": amount})

    # -- time ------------------------------------------------------------------------------------------------

    def _measure(self, *, is_free: bool) -> None:
        now_ms = self._clock.monotonic_ms()
        if self._measured_ms is not None:
            passed = min(max(0, now_ms - self._measured_ms), LONGEST_TURN_MS)
            self._idle_ms += passed * is_free
            self._busy_ms += passed * (not is_free)
        self._measured_ms = now_ms
        hour = self._hour_now()
        if hour != self._hour or self._idle_ms + self._busy_ms >= KEPT_EVERY_SECONDS * 1000:
            self._keep_time()
            self._hour = hour

    def _keep_time(self) -> None:
        idle, busy = self._idle_ms // 1000, self._busy_ms // 1000
        if idle + busy and self._keep({"kind": "time", "key": list(self._key()), "idle": idle, "busy": busy}):
            self._idle_ms -= idle * 1000
            self._busy_ms -= busy * 1000

    def _end_sessions(self) -> None:
        now = self._clock.now()
        for session, one in list(self._journal.seen.open.items()):
            if abs(now.timestamp() - one.spoke_at) > SESSION_OVER_AFTER.total_seconds():
                self._keep({"kind": "ended", "session": session, "deal": False})

    # -- decisions -------------------------------------------------------------------------------------------

    def _is_time_to_decide(self) -> bool:
        now_ms = self._clock.monotonic_ms()
        if self._decided_ms is not None and now_ms - self._decided_ms < DECIDED_EVERY_MS:
            return False
        # A clock set forward makes no hour pass.
        least_ms = self.rules.least_between / timedelta(milliseconds=1)
        return self._moved_ms is None or now_ms - self._moved_ms >= least_ms

    def _decide(self) -> None:
        self._keep_time()
        now, seen = self._clock.now(), self._journal.seen
        if seen.moved_at is not None and seen.moved_at > now:
            # The clock was ahead, or is behind: the least time begins anew.
            self._keep({"kind": "listed", "price": self._price, "at": int(now.timestamp())})
        view = PriceView(
            rules=self.rules,
            now=now,
            price=self._price,
            history=seen.history(now),
            moved_at=seen.moved_at,
            at_the_table=self._is_at_the_table(now),
        )
        decision = decide(view)
        self._decided_ms = self._clock.monotonic_ms()
        if self._is_news(decision) and not self._keep(self._decided(now, decision)):
            return
        if isinstance(decision, Move):
            self._move(decision, now)

    def _is_at_the_table(self, now: datetime) -> bool:
        """Return whether to wait for somebody: their terms stand in any case, so not for ever."""
        spoke = [one.spoke_at for one in self._journal.seen.open.values()]
        if not any(abs(now.timestamp() - at) < OFFER_SECONDS for at in spoke):
            self._held_ms = None
            return False
        now_ms = self._clock.monotonic_ms()
        if self._held_ms is None:
            self._held_ms = now_ms
        return now_ms - self._held_ms < LONGEST_HOLD_MS

    def _move(self, decision: Move, now: datetime) -> None:
        before, self._price = self._price, decision.to
        self._moved_ms = self._clock.monotonic_ms()
        if self._mode == "shadow":
            self._keep({"kind": "listed", "price": decision.to, "at": int(now.timestamp())})
        self._announce(
            "price_moved" if self._mode == "on" else "price_would_move",
            price=decision.to,
            price_before=before,
            unit=self._unit,
            reason=reason_for(decision.record, self._say),
        )

    def _is_news(self, decision: Decision) -> bool:
        last = self._journal.seen.decisions[-1] if self._journal.seen.decisions else None
        return isinstance(decision, Move) or last is None or last.reasons.rule != decision.record.rule

    def _decided(self, now: datetime, decision: Decision) -> Record:
        return decided_record(Decided(at=now, mode=self._mode, reasons=decision.record))

    async def _list(self, presence: Presence) -> None:
        """List at the decided price; what fails is tried again at the next turn."""
        if presence.price != self._price:
            try:
                await presence.list_at(self._price)
            except PlatformError as error:
                self._announce("price_not_listed", detail=str(error))
                return
        was = self._journal.seen.price
        if self._price != (self.rules.listed if was is None else was):
            self._keep({"kind": "listed", "price": self._price, "at": self._now_s()})
            self._moved_ms = self._clock.monotonic_ms()

    # -- the journal -----------------------------------------------------------------------------------------

    def _remembered_price(self) -> int:
        """Return the price that it was at, within today's bounds; the owner's own where that has changed."""
        seen, rules = self._journal.seen, self.rules
        if seen.bounds.get("listed") != rules.listed or seen.bounds.get("mode") != self._mode:
            return rules.listed
        decided = [one.reasons.to for one in seen.decisions if one.moves]
        price = decided[-1] if decided else seen.price or rules.listed
        return max(rules.floor, min(price, rules.ceiling))

    def _bounds(self) -> Record:
        bounds = kept_rules(self.rules, self._clock.now())
        token = self._token.model_dump(mode="json")
        return {"kind": "bounds", "mode": self._mode, "unit": self._unit, "token": token, **bounds}

    def _keep(self, record: Record) -> bool:
        """Keep a record; where the disk does not take it, say so once and go on without."""
        try:
            self._journal.keep(record, self._clock.now())
        except NotKept as error:
            if str(error) != self._refused:
                self._announce("price_history_refused", detail=str(error))
            self._refused = str(error)
            return False
        self._refused = ""
        return True

    def _key(self) -> Key:
        """Return where what happens now is counted: beside the other price, shadow's or the owner's own."""
        return self._hour, self.price, self._price if self._mode == "shadow" else self.rules.listed

    def _hour_now(self) -> int:
        return int(self._clock.now().replace(minute=0, second=0, microsecond=0).timestamp())

    def _now_s(self) -> int:
        return int(self._clock.now().timestamp())

    def _say(self, price: int) -> str:
        return format_amount(price, self._token)
