"""Carries every payment to its end: settle it, rent for it, send the rest back. From any crash it goes on.

Each step first looks at what became of the one before, on the disk and on the chain. Done, refused and
unknown are three things: only the chain's word, deep enough, ends a wait.
"""

import asyncio

from hireling.json_rpc import ChainUnreachable
from hireling.platform_errors import PlatformError
from hireling.x402.payments import Payment, Unbalanced
from hireling.x402.register import AGAIN_SECONDS, Register, Stuck, Tools
from hireling.x402.renting import Renting
from hireling.x402.till import Till

# For so long a payer may still ask what became of a payment that lapsed.
REMEMBER_SECONDS = 3_600


class Carrier:
    """A task for each payment that is not finished."""

    def __init__(self, tools: Tools, register: Register) -> None:
        self._tools = tools
        self._register = register
        self._till = Till(tools, register)
        self._renting = Renting(tools, register)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def resume(self) -> None:
        """Go on with whatever is not finished."""
        for payment in self._register.unfinished():
            self._start(payment)

    def begin(self, payment: Payment) -> Payment:
        """Keep a new payment and start to carry it; one that is known is returned as it stands."""
        known = self._register.find(payment.id)
        if known is not None:
            return known
        self._register.forget_void(lapsed_by=payment.taken_at - REMEMBER_SECONDS)
        self._register.write(payment)
        self._tools.announce("x402_taken", payment=payment.id, paid=payment.authorization.value)
        self._start(payment)
        return payment

    def stop_machine(self, payment: Payment) -> None:
        """Stop the machine that is rented for a payment; nothing happens where none runs."""
        self._renting.stop_machine(payment)

    async def close(self) -> None:
        """Leave everything as it stands; it is on the disk."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, payment: Payment) -> None:
        task = self._tasks[payment.id] = asyncio.create_task(self._carry(payment))

        def ended(_: object) -> None:
            del self._tasks[payment.id]
            error = None if task.cancelled() else task.exception()
            if error is not None:
                self._register.say(payment, "x402_stuck", f"{type(error).__name__}: {error}")

        task.add_done_callback(ended)

    async def _carry(self, payment: Payment) -> None:
        while not payment.is_finished:
            try:
                payment = await self._step(payment)
            except (PlatformError, ChainUnreachable) as error:
                self._register.say(payment, "x402_waiting", str(error))
                await self._tools.clock.sleep(AGAIN_SECONDS)
                payment = self._register.latest(payment)
            except (Stuck, Unbalanced) as error:
                self._register.say(payment, "x402_stuck", str(error))
                return
        is_paid = payment.stage == "done"
        self._tools.announce(
            "x402_finished",
            payment=payment.id,
            paid=payment.authorization.value if is_paid else 0,
            spent=payment.spent or 0,
            fee=payment.fee if is_paid else 0,
            refund=payment.refund or 0,
            reason=payment.reason,
        )

    async def _step(self, payment: Payment) -> Payment:
        if payment.stage == "taken":
            return await self._till.settle(payment)
        if payment.stage == "paid":
            return await self._renting.rent(payment)
        return await self._till.send_back(payment)
