"""One rental in the device's life, from the agreement to a countersigned bill.

Between them: money seen on the chain, unlocking, and service.
"""

import asyncio

from hireling.device.funding import FundingWatch
from hireling.device.log import RentalLog, log_path
from hireling.device.serving import Serving
from hireling.device.settling import Settling, final_close
from hireling.device.tools import Tools
from hireling.device.uplink import Uplink
from hireling.durable import make_private_folder
from hireling.json_rpc import ChainUnreachable
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.escrow_math import Status
from hireling.rental.slot import slot_of
from hireling.rental.states import BILL_FOLLOWS, State
from hireling.rental.typed_data import to_hex

DELIVERY_SECONDS = 5.0
# What a refused reading means for the ones after it: with these the platform only waits for another message.
FORGOTTEN = "unknown_rental"
HARMLESS_REFUSALS = frozenset({"gap", FORGOTTEN})


class Engagement:
    """Carries one rental to its end, however often the agent is restarted on the way."""

    def __init__(self, tools: Tools, agreement: SignedAgreement, log: RentalLog | None = None) -> None:
        self._tools = tools
        self._agreement = agreement
        self._log = log
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
        slot = slot_of(
            start_at=terms.pay.start_at,
            ends=terms.rules.end_by,
            turnaround=tools.bookings.turnaround,
            now=now,
        )
        self._funding = FundingWatch(tools, agreement, slot)
        self.serving = Serving(tools, agreement)
        """What its renter talks to: asks, answers and ceilings go there."""
        if log is None:
            tools.bookings.hold(self.rental_id, slot, now=now)
        elif not log.is_over:
            # It was accepted and is paid: it is not judged anew by what the owner wants today.
            tools.bookings.keep(self.rental_id, slot)

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
            if self._log is None:
                self._log = await self._funding.wait()
            return None if self._log is None else await self._carry(self._log)
        finally:
            self._tools.bookings.release(self.rental_id)

    async def _carry(self, log: RentalLog) -> int | None:
        uplink = self._uplink = Uplink(
            log,
            line=self._tools.line,
            topic=self._tools.topic("readings"),
            announce=self._tools.announce,
            encoding=self._tools.encoding,
        )
        sending = asyncio.create_task(uplink.run())
        try:
            if not log.is_over:
                await self.serving.wait_for_start(log)
            if not log.is_over:
                async with self._tools.in_use:
                    await self.serving.serve(log, on_reading=uplink.wake)
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

    async def is_done_on_chain(self) -> bool:
        """Return whether the escrow is done with the rental; False where the chain is silent."""
        try:
            slot = await self._tools.chain.slot(self._agreement.domain.escrow, self.rental_id)
        except ChainUnreachable:
            return False
        return slot.has(Status.DONE)

    # -- what the broker brings ------------------------------------------------------------------------------

    def on_ack(self, seq: int) -> None:
        """Note how far the platform holds the readings."""
        if self._uplink is not None:
            self._uplink.note_ack(seq)
        self.serving.heard()

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
        if code not in HARMLESS_REFUSALS:
            self.serving.stop(f"refused: {code}")

    def on_remembered(self) -> None:
        """Send all again: the platform knows the rental, and nothing of what was used."""
        self.is_forgotten = False
        if self._uplink is not None:
            self._uplink.send_all_again()
        self._settling.hurry()

    def on_paid_out(self) -> None:
        """Come to an end without a bill: the escrow has paid out a rental that the platform lost."""
        self._settling.note_paid_out()
        self.serving.stop("paid_out")

    def on_rate_limited(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._tools.announce("rate_limited", rental_id=self._id, wait_ms=int(seconds * 1000))
        if self._uplink is not None:
            self._uplink.pause(seconds)

    def on_rental_changed(self, state: State | None) -> None:
        """Look at once, where the next look would have come later; no state means that there is a bill."""
        if state not in BILL_FOLLOWS:
            self._settling.hurry()
        self._funding.hurry()

    # -- the way ---------------------------------------------------------------------------------------------

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

    @property
    def _id(self) -> str:
        return to_hex(self.rental_id)
