"""A rental in use, from the renter's side.

Ceilings a block ahead, the unlock, every reading checked, the stop, the last word.
"""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.mqtt_line import LineDown, MqttLine, topic_of
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError
from hireling.rental.ceiling import sign_ceiling
from hireling.rental.close import Unlock, UnlockAction
from hireling.rental.encoding import parse
from hireling.rental.errors import Malformed, ReadingRefused
from hireling.rental.reading import Reading, SignedReading
from hireling.rental.signing import Signer, sign
from hireling.rental.states import DEAD_ON_ARRIVAL, State, deadline, facts_of
from hireling.rental.topics import Challenge
from hireling.renter.book import Page, RenterBook
from hireling.renter.booking import LOOK_EVERY, was_declined
from hireling.renter.follower import Follower

# The rhythm in which a lost message is said again.
TURN_SECONDS = 0.5
ASK_EVERY_SECONDS = 2.0
CEILING_AGAIN_SECONDS = 3.0
# Without a reading for so long, the marketplace is asked whether it has some.
QUIET_SECONDS = 3.0
FLAGS_SECONDS = 10.0
AFTER_THE_END = timedelta(seconds=60)


def topics_of(device: bytes) -> list[str]:
    """Return what a renter of this machine listens to."""
    return [topic_of(device, "readings"), topic_of(device, "unlock/challenge")]


class Ride:
    """One rental from its money to its last reading."""

    def __init__(
        self,
        page: Page,
        *,
        book: RenterBook,
        platform: PlatformClient,
        session: Signer,
        clock: Clock,
        announce: Announce,
        stop_after: timedelta | None = None,
    ) -> None:
        self._stop_after = stop_after
        self._began_at: datetime | None = None
        self._page = page
        self._book = book
        self._platform = platform
        self._session = session
        self._clock = clock
        self._announce = announce
        self._agreement = page.agreement
        self._terms = page.agreement.agreement
        self._follower = Follower(
            page.agreement,
            last=page.last_reading.reading if page.last_reading else None,
            ceiling=page.ceiling.ceiling if page.ceiling else None,
        )
        self._line: MqttLine | None = None
        self._news = asyncio.Event()
        self._challenges: list[Challenge] = []
        self._came: list[SignedReading] = []
        self._wants_stop = False
        self._is_cheated = False
        # Nobody knows when an answer given before a restart arrived: it counts from now.
        self._unlocking_since = clock.now() if page.unlock_answered else None
        self._start_by = deadline(State.FUNDED, facts_of(self._terms, entered_at=clock.now()))
        self._asked_at = self._heard_at = self._ceiling_at = datetime.fromtimestamp(0, UTC)
        self._flags_at = self._looked_at = clock.now()
        self._is_declined = False
        self._flags: set[tuple[int, str]] = set()

    @property
    def device(self) -> bytes:
        """Return the machine's id."""
        return self._terms.rules.detail.device

    @property
    def page(self) -> Page:
        """Return what the book holds of this rental."""
        return self._page

    def stop(self) -> None:
        """Ask the machine to stop; the rental ends with its last reading."""
        self._wants_stop = True
        self._news.set()

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take in a message; what is another rental's, or not understood, is left alone."""
        with contextlib.suppress(ValidationError, Malformed):
            if topic.endswith("/readings"):
                signed = parse(SignedReading, payload)
                if signed.reading.rental_id == self._agreement.rental_id:
                    self._came.append(signed)
            else:
                challenge = Challenge.model_validate_json(payload)
                if challenge.rental_id == self._agreement.rental_id:
                    self._challenges.append(challenge)
            self._news.set()

    def on_line_up(self) -> None:
        """Say again what may be lost."""
        self._ceiling_at = self._asked_at = datetime.fromtimestamp(0, UTC)
        self._news.set()

    async def greet(self, line: MqttLine) -> Page:
        """Say what the machine needs to unlock once it sees the money; return the page.

        It costs nothing without the money, and nobody waits for it afterwards.
        """
        self._line = line
        await self._sign_due_ceiling()
        await self._ask()
        return self._page

    async def run(self, line: MqttLine) -> Page:
        """Use the machine until its last reading, or until clearly none will come; return the page."""
        self._line = line
        await self._catch_up()
        while not self._is_finished():
            await self._turn()
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    await self._news.wait()
        await self._sign_due_ceiling()
        await self._hand_in_ceiling()
        if self._follower.last is not None:
            self._announce("ended", rental_id=self._id, amount_due=self._follower.amount_due)
        return self._page

    # -- one turn
    # ------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        await self._take_readings()
        await self._sign_due_ceiling()
        await self._answer_challenges()
        now = self._clock.now()
        if self._began_at and self._stop_after is not None and now - self._began_at > self._stop_after:
            self._wants_stop = True
        if self._wants_answer() and now - self._asked_at > timedelta(seconds=ASK_EVERY_SECONDS):
            self._asked_at = now
            await self._ask()
        if self._page.ceiling and now - self._ceiling_at > timedelta(seconds=CEILING_AGAIN_SECONDS):
            await self._send_ceiling()
        if self._follower.last and now - self._heard_at > timedelta(seconds=QUIET_SECONDS):
            await self._catch_up()
        if self._follower.last and now - self._flags_at > timedelta(seconds=FLAGS_SECONDS):
            await self._look_for_flags()
        if self._follower.last is None and now - self._looked_at > LOOK_EVERY:
            self._looked_at = now
            await self._catch_up()
            self._is_declined = await was_declined(
                self._agreement.rental_id, platform=self._platform, announce=self._announce
            )

    def _wants_answer(self) -> bool:
        has_begun = self._follower.last is not None
        return self._page.ceiling is not None and (not has_begun or self._wants_stop)

    def _is_finished(self) -> bool:
        if self._follower.is_over:
            return True
        now = self._clock.now()
        if now > datetime.fromtimestamp(self._terms.rules.end_by, UTC) + AFTER_THE_END:
            self._announce("machine_silent", rental_id=self._id, detail="no last reading came by the end")
            return True
        if self._follower.last is not None:
            return False
        if self._is_declined:
            return True
        since = self._unlocking_since
        if since is not None and now - since > DEAD_ON_ARRIVAL:
            self._announce("dead_on_arrival", rental_id=self._id, detail="no reading came after the unlock")
            return True
        if self._start_by is not None and now > self._start_by:
            self._announce("never_started", rental_id=self._id, detail="the machine did not unlock in time")
            return True
        return False

    async def _take_readings(self) -> None:
        came, self._came = self._came, []
        for signed in came:
            try:
                is_new = self._follower.take(signed)
            except ReadingRefused as error:
                if error.code == "gap":
                    await self._catch_up()
                else:
                    self._refuse(signed, error)
                continue
            if is_new:
                self._note(signed)

    async def _catch_up(self) -> None:
        """Take what the marketplace holds of the readings that did not come over the line."""
        self._heard_at = self._clock.now()
        try:
            while missing := await self._platform.readings(
                self._agreement.rental_id, after=self._follower.next_seq - 1
            ):
                before = self._follower.next_seq
                for signed in missing:
                    if self._follower.take(signed):
                        self._note(signed)
                if self._follower.next_seq == before:
                    return
        except ReadingRefused as error:
            self._refuse(None, error)
        except PlatformError as error:
            self._announce("platform_unreachable", detail=str(error))

    async def _look_for_flags(self) -> None:
        """Say what looks wrong to the marketplace, once: whether to go on is for a person to decide."""
        self._flags_at = self._clock.now()
        try:
            flags = await self._platform.flags(self._agreement.rental_id)
        except PlatformError as error:
            self._announce("platform_unreachable", detail=str(error))
            return
        for flag in flags:
            if (flag.seq, flag.code) not in self._flags:
                self._flags.add((flag.seq, flag.code))
                self._announce(
                    "flagged", rental_id=self._id, seq=flag.seq, code=flag.code, reason=flag.reason
                )

    def _note(self, signed: SignedReading) -> None:
        self._heard_at = self._clock.now()
        self._began_at = self._began_at or self._heard_at
        self._page = self._page.model_copy(update={"last_reading": signed})
        reading = signed.reading
        if reading.seq == 0:
            self._announce("unlocked", rental_id=self._id)
        self._announce(
            "reading",
            rental_id=self._id,
            seq=reading.seq,
            event_name=reading.sample.event.name.lower(),
            counters=self._counters(reading),
            amount_due=reading.amount_due,
            acknowledged=self._page.ceiling.ceiling.ack_amount if self._page.ceiling else 0,
        )

    def _refuse(self, signed: SignedReading | None, error: ReadingRefused) -> None:
        # Nothing more is acknowledged: what the machine can still claim is at most one block.
        if not self._is_cheated:
            seq = signed.reading.seq if signed else self._follower.next_seq
            self._announce("reading_refused", rental_id=self._id, seq=seq, code=error.code, detail=str(error))
        self._is_cheated = True
        self._wants_stop = True

    # -- what the renter says
    # ------------------------------------------------------------------------------------

    async def _sign_due_ceiling(self) -> None:
        if self._is_cheated or (due := self._follower.due_ceiling()) is None:
            return
        signed = sign_ceiling(self._session, self._agreement.domain, due)
        # In the book first: after a crash the renter must know what it has allowed.
        self._page = self._book.write(self._page.model_copy(update={"ceiling": signed}))
        self._follower.ceiling = due
        self._announce(
            "ceiling",
            rental_id=self._id,
            max_claimable=due.max_claimable,
            ack_amount=due.ack_amount,
        )
        await self._send_ceiling()

    async def _send_ceiling(self) -> None:
        self._ceiling_at = self._clock.now()
        if self._page.ceiling is None:
            return
        if not await self._publish("ceilings", self._page.ceiling.model_dump_json()):
            await self._hand_in_ceiling()

    async def _hand_in_ceiling(self) -> None:
        if self._page.ceiling is None:
            return
        try:
            await self._platform.submit_ceiling(self._agreement.rental_id, self._page.ceiling)
        except PlatformError as error:
            self._announce("platform_unreachable", detail=str(error))

    async def _ask(self) -> None:
        action = UnlockAction.STOP if self._wants_stop else UnlockAction.UNLOCK
        await self._publish("unlock/ask", f'{{"rental_id":"{self._id}","action":{int(action)}}}')

    async def _answer_challenges(self) -> None:
        challenges, self._challenges = self._challenges, []
        for challenge in challenges:
            wanted = UnlockAction.STOP if self._wants_stop else UnlockAction.UNLOCK
            if challenge.action is not wanted:
                continue
            self._asked_at = self._clock.now()
            unlock = Unlock(
                rental_id=challenge.rental_id,
                device=self.device,
                nonce=challenge.nonce,
                action=challenge.action,
            )
            signature = sign(self._session, self._agreement.domain, unlock)
            if challenge.action is UnlockAction.UNLOCK and self._unlocking_since is None:
                self._unlocking_since = self._clock.now()
                self._page = self._book.write(self._page.model_copy(update={"unlock_answered": True}))
            await self._publish(
                "unlock/answer",
                f'{{"rental_id":"{self._id}","action":{int(challenge.action)},'
                f'"nonce":"0x{challenge.nonce.hex()}","signature":"0x{signature.hex()}"}}',
            )

    async def _publish(self, word: str, payload: str) -> bool:
        if self._line is None:
            return False
        try:
            await self._line.publish(topic_of(self.device, word), payload)
        except LineDown:
            return False
        return True

    def _counters(self, reading: Reading) -> dict[str, str]:
        names = [counter.name for counter in self._agreement.offer.tariff.counters]
        return {name: str(count) for name, count in zip(names, reading.sample.counters, strict=True)}

    @property
    def _id(self) -> str:
        return f"0x{self._agreement.rental_id.hex()}"
