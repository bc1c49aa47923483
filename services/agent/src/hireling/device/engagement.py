"""One rental in the device's life, from the agreement to a countersigned bill.

Between them: money seen on the chain, unlocking, and service.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hireling.announce import Announce
from hireling.clock import Clock, comes_within, growing
from hireling.device.bookings import Bookings
from hireling.device.chain import EscrowReader, NotFunded, WrongChain
from hireling.device.log import RentalLog, log_path
from hireling.device.log_contents import Start
from hireling.device.record_file import NotKept
from hireling.device.session import RentalSession
from hireling.device.settling import Settling, final_close
from hireling.device.unlock import UnlockGate, UnlockRefused
from hireling.device.uplink import Uplink
from hireling.drivers.driver import Driver, DriverFailed
from hireling.durable import make_private_folder
from hireling.json_rpc import ChainUnreachable
from hireling.mqtt_line import LineDown, MqttLine, topic_of
from hireling.platform_client import PlatformClient
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import UnlockAction
from hireling.rental.encoding import Encoding
from hireling.rental.errors import CeilingRefused, SignatureMismatch
from hireling.rental.signing import Signer
from hireling.rental.slot import slot_of
from hireling.rental.states import State, deadline, facts_of
from hireling.rental.topics import Answer, Ask, Challenge

CHAIN_POLL_SECONDS, LONGEST_CHAIN_POLL_SECONDS = 0.5, 2.0
START_POLL_SECONDS = 1.0
DELIVERY_SECONDS = 5.0
# What a refused reading means for the ones after it: with these the platform only waits for another message.
FORGOTTEN = "unknown_rental"
HARMLESS_REFUSALS = frozenset({"gap", FORGOTTEN})


@dataclass(frozen=True)
class Tools:
    """What every engagement of a device shares."""

    platform: PlatformClient
    chain: EscrowReader
    line: MqttLine
    driver: Driver
    meter_key: Signer
    agent_key: Signer
    clock: Clock
    announce: Announce
    folder: Path
    bills: Path
    device: bytes
    bill_signer: bytes
    in_use: asyncio.Lock
    """Held while the machine serves: one rental at a time."""
    encoding: Encoding = "json"
    """How readings travel."""
    bookings: Bookings = field(default_factory=Bookings)
    owner_key: Signer | None = None
    """Signs closes and bills where a delegate of the platform signed the agreement."""

    def key_for(self, agreement: SignedAgreement) -> Signer:
        """Return what signs a rental's close and bill for the owner: whose word its agreement takes."""
        if agreement.agreement.rules.owner_agent == self.agent_key.identity or self.owner_key is None:
            return self.agent_key
        return self.owner_key


class Engagement:
    """Carries one rental to its end, however often the agent is restarted on the way."""

    def __init__(self, tools: Tools, agreement: SignedAgreement, log: RentalLog | None = None) -> None:
        self._tools = tools
        self._agreement = agreement
        self._log = log
        self._gate = UnlockGate(agreement)
        self._unlocked = asyncio.Event()
        self._ceiling_came = asyncio.Event()
        # Before its start a rental can only be called off; from then on its session ends it.
        self._called_off = asyncio.Event()
        self._session: RentalSession | None = None
        # The renter may be sooner than this machine's look at the chain: its last words are kept until then.
        self._early_ceiling: SignedCeiling | None = None
        self._asked: Ask | None = None
        self._hint = asyncio.Event()
        self._uplink: Uplink | None = None
        self.is_forgotten = False
        """Whether the platform said that it knows no such rental."""
        self.has_bill = False
        """Whether it ended with a bill."""
        self._settling = Settling(
            platform=tools.platform,
            key=tools.key_for(agreement),
            issuer=tools.bill_signer,
            announce=tools.announce,
            bills=tools.bills,
        )
        terms, now = agreement.agreement, tools.clock.now()
        self._slot = slot_of(
            start_at=terms.pay.start_at,
            ends=terms.rules.end_by,
            turnaround=tools.bookings.turnaround,
            now=now,
        )
        if log is None:
            tools.bookings.hold(self.rental_id, self._slot, now=now)
        elif not log.is_over:
            # It was accepted and is paid: it is not judged anew by what the owner wants today.
            tools.bookings.keep(self.rental_id, self._slot)

    @property
    def rental_id(self) -> bytes:
        """Return the rental's id."""
        return self._agreement.rental_id

    @property
    def agreement(self) -> SignedAgreement:
        """Return what both sides signed."""
        return self._agreement

    @property
    def is_funded(self) -> bool:
        """Return whether this machine saw the money on the chain."""
        return self._log is not None

    @property
    def ceiling(self) -> SignedCeiling | None:
        """Return the last ceiling that it served under."""
        return None if self._log is None else self._log.ceiling

    async def run(self) -> int | None:
        """Carry the rental to its end; return what it cost, None where it came to nothing.

        Raises BillWrong.
        """
        try:
            if self._log is None and not await self._wait_for_money():
                return None
            return await self._carry(self._require_log())
        finally:
            self._tools.bookings.release(self.rental_id)

    async def _carry(self, log: RentalLog) -> int | None:
        uplink = self._uplink = Uplink(
            log,
            line=self._tools.line,
            topic=self._topic("readings"),
            announce=self._tools.announce,
            encoding=self._tools.encoding,
        )
        sending = asyncio.create_task(uplink.run())
        try:
            if not log.is_over:
                await self._wait_for_start(log)
            if not log.is_over:
                async with self._tools.in_use:
                    await self._serve(log)
            self._tools.bookings.release(self.rental_id)
            uplink.wake()
            await self._deliver(log, sending)
            await self._settling.close(log)
            await self._wait_until_sent(sending)
            if sending.done():
                sending = asyncio.create_task(uplink.stay())
            bill = await self._settling.settle(log)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        log.note_finished()
        log.close()
        finished = make_private_folder(self._tools.folder / "finished") / f"{self.rental_id.hex()}.log"
        log_path(self._tools.folder, self.rental_id).replace(finished)
        self.has_bill = bill is not None
        if bill is not None:
            return int(bill.bill.total)
        if not self._settling.paid_out.is_set():
            return None
        use = final_close(log).use
        self._tools.announce("paid_out_without_bill", rental_id=self._id, use=use, path=str(finished))
        return use

    # -- what the broker brings ------------------------------------------------------------------------------

    def on_ack(self, seq: int) -> None:
        """Note how far the platform holds the readings."""
        if self._uplink is not None:
            self._uplink.note_ack(seq)
        if self._session is not None:
            self._session.heard()

    def on_line_up(self) -> None:
        """Send again what may be lost."""
        if self._uplink is not None:
            self._uplink.send_again()

    def on_refusal(self, *, seq: int, code: str, detail: str) -> None:
        """Stop when a reading can never count: nothing after it could be paid either."""
        self._tools.announce("refused", rental_id=self._id, seq=seq, code=code, detail=detail)
        self.is_forgotten = self.is_forgotten or code == FORGOTTEN
        if code == "gap" and self._uplink is not None:
            self._uplink.note_gap(seq)
        if code not in HARMLESS_REFUSALS and self._session is not None:
            self._session.stop(f"refused: {code}")

    def on_remembered(self) -> None:
        """Send all again: the platform knows the rental, and nothing of what was used."""
        self.is_forgotten = False
        if self._uplink is not None:
            self._uplink.send_all_again()
        self._settling.hurry()

    def on_paid_out(self) -> None:
        """Come to an end without a bill: the escrow has paid out a rental that the platform lost."""
        self._settling.note_paid_out()
        if self._session is not None:
            self._session.stop("paid_out")

    def on_rate_limited(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._tools.announce("rate_limited", rental_id=self._id, wait_ms=int(seconds * 1000))
        if self._uplink is not None:
            self._uplink.pause(seconds)

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
            return
        except (CeilingRefused, SignatureMismatch) as error:
            self._tools.announce("ceiling_refused", rental_id=self._id, code=error.code, detail=str(error))
            return
        self._ceiling_came.set()

    def on_rental_changed(self) -> None:
        """Look at once, where the next look would have come later."""
        self._settling.hurry()
        self._hint.set()

    def on_ask(self, ask: Ask) -> Challenge | None:
        """Return the challenge for a wish, or None while there is nothing to grant: it is kept until then."""
        if self._session is None:
            is_booked = self._log is not None and self._log.last is None and not self._log.is_over
            can_call_off = is_booked and self._tools.clock.now() < self._start
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
        return session.can_begin() and self._tools.clock.now() >= self._start

    @property
    def _start(self) -> datetime:
        return _moment(self._agreement.agreement.pay.start_at)

    @property
    def _start_text(self) -> str:
        return f"{self._start:%Y-%m-%d %H:%M} UTC"

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
            await self._tools.line.publish(self._topic("unlock/challenge"), challenge.model_dump_json())
        except LineDown as error:
            self._tools.announce("challenge_not_sent", rental_id=self._id, detail=str(error))

    # -- the way ---------------------------------------------------------------------------------------------

    async def _wait_for_money(self) -> bool:
        said = ""
        pauses = growing(CHAIN_POLL_SECONDS, longest=LONGEST_CHAIN_POLL_SECONDS)
        while self._tools.clock.now() <= _moment(self._agreement.agreement.rules.fund_by):
            try:
                funding = await self._tools.chain.funding(self._agreement)
                # The other one was funded first: a close over nothing gives this one's money back at once.
                refused = "slot_taken" if self._tools.bookings.is_lost(self.rental_id, self._slot) else None
                start = Start(self._agreement, funding.slot.funded_bps, refused)
                self._log = RentalLog.create(log_path(self._tools.folder, self.rental_id), start)
            except (NotFunded, ChainUnreachable, WrongChain, NotKept) as error:
                if str(error) != said and not isinstance(error, NotFunded):
                    event = "disk_refuses" if isinstance(error, NotKept) else "chain_unclear"
                    field = "reason" if isinstance(error, NotKept) else "detail"
                    self._tools.announce(event, rental_id=self._id, **{field: str(error)})
                said = str(error)
                # What the marketplace tells is nothing but a reason to look.
                if await comes_within(self._tools.clock, next(pauses), self._hint.wait()):
                    pauses = growing(CHAIN_POLL_SECONDS, longest=LONGEST_CHAIN_POLL_SECONDS)
                self._hint.clear()
                continue
            self._tools.announce("funded_seen", rental_id=self._id, block=funding.block)
            if refused is None:
                self._tools.bookings.keep(self.rental_id, self._slot)
            else:
                self._tools.bookings.release(self.rental_id)
                self._tools.announce(refused, rental_id=self._id, start_at=self._start_text)
            return True
        self._tools.announce("rental_expired", rental_id=self._id, reason="not funded in time")
        return False

    async def _wait_for_start(self, log: RentalLog) -> None:
        """Wait for the agreed start; where there is nothing to wait for, the log is over after it.

        The machine serves others meanwhile.
        """
        if log.last is None and self._tools.clock.now() < self._start:
            self._tools.announce("waiting_for_start", rental_id=self._id, start_at=self._start_text)
        while log.last is None and not self._called_off.is_set():
            left = (self._start - self._tools.clock.now()).total_seconds()
            if left <= 0:
                break
            await self._tools.clock.sleep(min(left, START_POLL_SECONDS))
        if self._called_off.is_set():
            self._tools.announce("called_off", rental_id=self._id, start_at=self._start_text)
            log.note_end("renter_stopped")

    async def _serve(self, log: RentalLog) -> None:
        session = self._session = RentalSession(
            log=log,
            driver=self._tools.driver,
            key=self._tools.meter_key,
            clock=self._tools.clock,
            announce=self._tools.announce,
            on_reading=self._wake_uplink,
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

    async def _deliver(self, log: RentalLog, sending: "asyncio.Task[None]") -> None:
        """Wait until all is sent, or nothing of it has arrived for a while: the broker may be away.

        The close is judged by the last reading, which goes first if it can.
        """
        acked = -2
        while not sending.done() and log.acked > acked:
            acked = log.acked
            await asyncio.wait({sending}, timeout=DELIVERY_SECONDS)

    async def _wait_until_sent(self, sending: "asyncio.Task[None]") -> None:
        """Wait until the platform holds all, unless it never will."""
        paid_out = asyncio.create_task(self._settling.paid_out.wait())
        try:
            await asyncio.wait({sending, paid_out}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            paid_out.cancel()
        if sending.done():
            await sending

    def _wake_uplink(self) -> None:
        if self._uplink is not None:
            self._uplink.wake()

    def _require_log(self) -> RentalLog:
        if self._log is None:
            raise RuntimeError("an engagement runs only with its log")
        return self._log

    def _topic(self, word: str) -> str:
        return topic_of(self._tools.device, word)

    @property
    def _id(self) -> str:
        return f"0x{self.rental_id.hex()}"


def _moment(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, tz=UTC)
