"""After the last reading.

The owner's agent signs the close, waits for the bill, checks it against the device's log, countersigns.
"""

import asyncio
import contextlib
from pathlib import Path

from hireling.announce import Announce
from hireling.device.log import RentalLog
from hireling.durable import make_private_folder, write_atomically
from hireling.platform_client import PlatformClient
from hireling.platform_errors import PlatformError, PlatformNotFound, PlatformRefused
from hireling.rental.bill import SignedBill, envelope_of, verify_bill
from hireling.rental.close import Close
from hireling.rental.errors import BillInvalid
from hireling.rental.signing import Signer, sign
from hireling.rental.states import TERMINAL, WITHOUT_BILL

# The marketplace's money side hears of the last reading some tenths of a second after the device signed it.
FIRST_PAUSE_SECONDS = 0.2
# The broker tells of the bill; this is for when that word is lost.
BILL_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0


class BillWrong(Exception):
    """The bill is not what the device measured; it is not countersigned, and the log stays as evidence."""


class Settling:
    """Tries until the marketplace has what it needs.

    A marketplace that stays away leaves the chain's own deadlines.
    """

    def __init__(
        self, *, platform: PlatformClient, key: Signer, issuer: bytes, announce: Announce, bills: Path
    ) -> None:
        self._platform = platform
        self._key = key
        self._issuer = issuer
        self._announce = announce
        self._bills = bills
        self._hint = asyncio.Event()
        self.paid_out = asyncio.Event()
        """Set where the escrow has paid out a rental that the marketplace lost: there will be no bill."""

    def note_paid_out(self) -> None:
        """Wait for no bill."""
        self.paid_out.set()
        self.hurry()

    def hurry(self) -> None:
        """Look again now."""
        self._hint.set()

    async def close(self, log: RentalLog) -> None:
        """Hand in the owner's half of the close over the last reading's amount."""
        pause = FIRST_PAUSE_SECONDS
        while not self.paid_out.is_set() and not await self._hand_in(log):
            # Perhaps settled without it (claims and deadlines), or the last readings are still on their way.
            if await self._has_bill(log):
                return
            await self._pause(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _hand_in(self, log: RentalLog) -> bool:
        """Return whether the marketplace has taken the owner's half."""
        close = final_close(log)
        signature = sign(self._key, log.start.agreement.domain, close)
        try:
            await self._platform.submit_close(close, by="owner", signature=signature)
        except PlatformRefused as error:
            self._announce("close_refused", rental_id=_id(log), code=error.code, detail=str(error))
        except PlatformError as error:
            self._announce("platform_unreachable", detail=str(error))
        else:
            self._announce("close_signed", rental_id=_id(log), use=close.use)
            return True
        return False

    async def settle(self, log: RentalLog) -> SignedBill | None:
        """Wait for the bill, check it, countersign it and keep it; None when there is none to come.

        Raises BillWrong.
        """
        bill = await self._wait_for_bill(log)
        if bill is None:
            return None
        check_bill(bill, log, issuer=self._issuer)
        countersigned = await self._countersign(bill, log)
        path = self._bills / f"{_id(log)}.json"
        try:
            make_private_folder(self._bills)
            write_atomically(path, countersigned.model_dump_json(indent=1).encode())
        except OSError as error:
            # The marketplace has it, and the log proves it.
            self._announce("bill_not_stored", rental_id=_id(log), reason=str(error))
        self._announce("bill_countersigned", rental_id=_id(log), total=int(bill.bill.total), path=str(path))
        return countersigned

    async def _wait_for_bill(self, log: RentalLog) -> SignedBill | None:
        pause = BILL_PAUSE_SECONDS
        while not self.paid_out.is_set():
            try:
                rental = await self._platform.rental(log.rental_id)
                if rental.bill:
                    return await self._platform.bill(log.rental_id)
                if rental.state in WITHOUT_BILL:
                    self._announce("rental_cancelled", rental_id=_id(log), state=rental.state.value)
                    return None
                if "owner" not in rental.closes_by and rental.state not in TERMINAL:
                    # It had it: it was restored from a backup since.
                    await self._hand_in(log)
            except PlatformNotFound:
                pass  # the marketplace lags behind the agreement it was given; the next look may find it
            except PlatformError as error:
                self._announce("platform_unreachable", detail=str(error))
            await self._pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        return None

    async def _countersign(self, bill: SignedBill, log: RentalLog) -> SignedBill:
        signature = sign(self._key, log.start.agreement.domain, envelope_of(bill.bill))
        while True:
            try:
                return await self._platform.countersign_bill(log.rental_id, signature)
            except PlatformRefused:
                raise
            except PlatformError as error:
                self._announce("platform_unreachable", detail=str(error))
                await self._pause(LONGEST_PAUSE_SECONDS)

    async def _has_bill(self, log: RentalLog) -> bool:
        try:
            return (await self._platform.rental(log.rental_id)).bill
        except PlatformError:
            return False

    async def _pause(self, seconds: float) -> None:
        if self.paid_out.is_set():
            return
        self._hint.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hint.wait()


def final_close(log: RentalLog) -> Close:
    """Return the close that both sides sign: the last reading's amount, valid for as long as claims are.

    Every value follows from the agreement and the last reading, so both sides build the same one without
    talking.
    """
    return Close(
        rental_id=log.rental_id,
        use=log.last.signed.reading.amount_due if log.last else 0,
        damage=0,
        valid_until=log.start.agreement.agreement.claim_by,
    )


def check_bill(signed: SignedBill, log: RentalLog, *, issuer: bytes) -> None:
    """Check a bill for itself and against the device's own last reading. Raises BillWrong."""
    try:
        verify_bill(signed, issuer=issuer)
    except BillInvalid as error:
        raise BillWrong(f"the bill does not check: {error}") from error
    if signed.bill.rental.rental_id != log.rental_id:
        raise BillWrong("the bill belongs to another rental")
    if log.last is None:
        return
    last = signed.bill.readings[-1].reading if signed.bill.readings else None
    if last is None or last != log.last.signed.reading:
        raise BillWrong(f"the bill ends with another reading than number {log.last.seq}, the device's last")


def _id(log: RentalLog) -> str:
    return f"0x{log.rental_id.hex()}"
