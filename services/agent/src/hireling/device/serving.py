"""The machine and its renter, from the agreed start to the last reading.

Here the renter asks, is let in, allows more, and stops; what it says before the machine can act on it is
kept until then.
"""

import asyncio
import contextlib
from collections.abc import Callable

from hireling.device.bookings import start_of, start_text
from hireling.device.log import RentalLog
from hireling.device.record_file import NotKept
from hireling.device.session import RentalSession
from hireling.device.tools import Tools
from hireling.device.unlock import UnlockGate, UnlockRefused
from hireling.drivers.driver import DriverFailed
from hireling.mqtt_line import LineDown
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import UnlockAction
from hireling.rental.errors import CeilingRefused, SignatureMismatch
from hireling.rental.states import State, deadline, facts_of
from hireling.rental.topics import Answer, Ask, Challenge
from hireling.rental.typed_data import to_hex

START_POLL_SECONDS = 1.0


class Serving:
    """Lets one rental's renter in, and serves it until its last reading."""

    def __init__(self, tools: Tools, agreement: SignedAgreement) -> None:
        self._tools = tools
        self._agreement = agreement
        self._gate = UnlockGate(agreement)
        self._unlocked = asyncio.Event()
        # Before its start a rental can only be called off; from then on its session ends it.
        self._called_off = asyncio.Event()
        self._log: RentalLog | None = None  # once it is paid
        self._session: RentalSession | None = None
        # The renter may be sooner than this machine's look at the chain: its last words are kept until then.
        self._early_ceiling: SignedCeiling | None = None
        self._asked: Ask | None = None

    # -- what the renter says --------------------------------------------------------------------------------

    def on_ceiling(self, signed: SignedCeiling) -> Challenge | None:
        """Serve under a new ceiling; return the challenge for a wish that waited for it."""
        if self._session is None:
            # Not funded in the device's eyes yet, or over.
            self._early_ceiling = signed
            return None
        self._take_ceiling(self._session, signed)
        return self._answer_asked()

    def _take_ceiling(self, session: RentalSession, signed: SignedCeiling) -> None:
        try:
            session.take_ceiling(signed)
        except NotKept as error:
            # The renter sends it again until it counts.
            self._tools.announce("disk_refuses", rental_id=self._id, reason=str(error))
        except (CeilingRefused, SignatureMismatch) as error:
            self._tools.announce("ceiling_refused", rental_id=self._id, code=error.code, detail=str(error))

    def on_ask(self, ask: Ask) -> Challenge | None:
        """Return the challenge for a wish, or None while there is nothing to grant: it is kept until then."""
        if self._session is None:
            is_booked = self._log is not None and self._log.last is None and not self._log.is_over
            can_call_off = is_booked and self._tools.clock.now() < start_of(self._agreement)
            if can_call_off and ask.action is UnlockAction.STOP:
                return self._gate.challenge(ask.action)
            self._asked = ask
            return None
        if ask.action is UnlockAction.UNLOCK and not self._may_begin(self._session):
            self._asked = ask
            return None
        return self._gate.challenge(ask.action)

    def _answer_asked(self) -> Challenge | None:
        """Return the challenge for the wish that was kept, once it can be granted."""
        asked, self._asked = self._asked, None
        return None if asked is None else self.on_ask(asked)

    def _may_begin(self, session: RentalSession) -> bool:
        return session.can_begin() and self._tools.clock.now() >= start_of(self._agreement)

    def on_answer(self, answer: Answer) -> None:
        """Grant what a right answer asks for."""
        try:
            action = self._gate.check(answer)
        except UnlockRefused as error:
            self._tools.announce("unlock_refused", rental_id=self._id, detail=str(error))
            return
        if action is UnlockAction.UNLOCK:
            self._unlocked.set()
        elif self._session is not None:
            self._session.stop("renter_stopped")
            self._unlocked.set()
        else:
            self._called_off.set()

    async def send_challenge(self, challenge: Challenge) -> None:
        """Publish a challenge; a lost one is asked for again."""
        try:
            await self._tools.line.publish(self._tools.topic("unlock/challenge"), challenge.model_dump_json())
        except LineDown as error:
            self._tools.announce("challenge_not_sent", rental_id=self._id, detail=str(error))

    # -- what else concerns a machine at work ----------------------------------------------------------------

    def heard(self) -> None:
        """Note that somebody outside was heard."""
        if self._session is not None:
            self._session.heard()

    def stop(self, reason: str) -> None:
        """End the rental at its last reading, where the machine serves it now."""
        if self._session is not None:
            self._session.stop(reason)

    # -- the way ---------------------------------------------------------------------------------------------

    async def wait_for_start(self, log: RentalLog) -> None:
        """Wait for the agreed start; where there is nothing to wait for, the log is over after it.

        The machine serves others meanwhile.
        """
        self._log = log
        if log.last is None and self._tools.clock.now() < start_of(self._agreement):
            self._tools.announce(
                "waiting_for_start", rental_id=self._id, start_at=start_text(self._agreement)
            )
        while log.last is None and not self._called_off.is_set():
            left = (start_of(self._agreement) - self._tools.clock.now()).total_seconds()
            if left <= 0:
                break
            await self._tools.clock.sleep(min(left, START_POLL_SECONDS))
        if self._called_off.is_set():
            self._tools.announce("called_off", rental_id=self._id, start_at=start_text(self._agreement))
            log.note_end("renter_stopped")

    async def serve(self, log: RentalLog, *, on_reading: Callable[[], None]) -> None:
        """Let the renter in and serve it; the log is over then. ``on_reading`` is told of each reading."""
        session = self._session = RentalSession(
            log=log,
            driver=self._tools.driver,
            key=self._tools.meter_key,
            clock=self._tools.clock,
            announce=self._tools.announce,
            on_reading=on_reading,
        )
        is_new = log.last is None
        await self._take_early(session)
        if is_new and not await self._wait_for_unlock():
            log.note_end("never_unlocked")
            return
        if is_new:
            self._tools.announce("unlocked", rental_id=self._id)
        try:
            reason = await session.serve()
        except DriverFailed as error:
            # Dead on arrival: the first reading was never signed, and a zero close refunds the
            # renter at once.
            self._tools.announce("dead_on_arrival", rental_id=self._id, detail=str(error))
            log.note_end("dead_on_arrival")
            return
        finally:
            self._session = None
        self._tools.announce(
            "ended",
            rental_id=self._id,
            seq=log.last.seq if log.last else None,
            amount_due=session.amount_due,
            reason=reason,
        )

    async def _take_early(self, session: RentalSession) -> None:
        """Act on what the renter said before the machine could."""
        if self._early_ceiling is not None:
            self._take_ceiling(session, self._early_ceiling)
        challenge = self._answer_asked()
        if challenge is not None:
            await self.send_challenge(challenge)

    async def _wait_for_unlock(self) -> bool:
        now = self._tools.clock.now()
        ends = deadline(State.FUNDED, facts_of(self._agreement.agreement, entered_at=now)) or now
        self._tools.announce("waiting_for_unlock", rental_id=self._id)
        while self._tools.clock.now() < ends:
            left = (ends - self._tools.clock.now()).total_seconds()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._unlocked.wait()
                return True
        return False

    @property
    def _id(self) -> str:
        return to_hex(self._agreement.rental_id)
