"""Money in and out: what a payer authorised, and what goes back to it, both relayed by the marketplace."""

from datetime import timedelta

from hireling.platform_errors import PlatformRefused
from hireling.x402.payments import Payment
from hireling.x402.register import LOOK_SECONDS, SELDOM_SECONDS, Register, Stuck, Tools
from hireling.x402.token import CarriedOut, NeverAgain, SearchedUpTo, Transfer

ASK_AGAIN = timedelta(seconds=10)
TOO_MANY_REQUESTS = 429


class Till:
    """One wallet's."""

    def __init__(self, tools: Tools, register: Register) -> None:
        self._tools = tools
        self._register = register
        self._asked_at: dict[str, float] = {}

    async def settle(self, payment: Payment) -> Payment:
        """Look what became of a payment's authorisation, and have it carried out; return the payment."""
        signed = payment.authorization
        transfer = Transfer(
            sender=signed.sender, recipient=signed.recipient, value=signed.value, nonce=signed.nonce
        )
        outcome = await self._tools.token.outcome(
            transfer, since=payment.seen_from, valid_before=signed.valid_before
        )
        if isinstance(outcome, SearchedUpTo):
            return self._search_on(payment, outcome)
        if outcome is not None:
            self._asked_at.pop(payment.id, None)
        if isinstance(outcome, NeverAgain):
            reason = payment.reason or outcome.reason
            return self._register.write(payment.model_copy(update={"stage": "void", "reason": reason}))
        if isinstance(outcome, CarriedOut):
            at = int(self._tools.clock.now().timestamp())
            update = {"stage": "paid", "settlement": outcome.transaction, "paid_at": at}
            paid = payment.model_copy(update=update)
            if payment.given_up:
                seen_from = await self._tools.token.height()
                return self._register.write(paid.over(spent=0, reason=payment.reason, seen_from=seen_from))
            self._register.write(paid)
            self._tools.announce("x402_paid", payment=payment.id, paid=signed.value)
            return paid
        if not payment.given_up:
            await self._ask_to_settle(payment)
        await self._tools.clock.sleep(SELDOM_SECONDS if payment.given_up else LOOK_SECONDS)
        return self._register.latest(payment)

    async def _ask_to_settle(self, payment: Payment) -> None:
        """Have the marketplace relay the authorisation, again where nothing came of it for a while."""
        now = self._tools.clock.now().timestamp()
        if now < self._asked_at.get(payment.id, 0) + ASK_AGAIN.total_seconds():
            return
        self._asked_at[payment.id] = now
        signed = payment.authorization
        try:
            await self._tools.platform.withdraw(signed.model_dump(mode="json"))
        except PlatformRefused as error:
            if error.status == TOO_MANY_REQUESTS or await self._tools.token.is_used(
                signed.sender, signed.nonce
            ):
                return
            self._register.write(payment.model_copy(update={"given_up": True, "reason": str(error)}))

    async def send_back(self, payment: Payment) -> Payment:
        """Look what became of a refund, and have it carried out; return the payment. Raises Stuck."""
        tools, amount = self._tools, payment.refund or 0
        if amount == 0:
            return self._register.write(payment.model_copy(update={"stage": "done"}))
        payer = payment.authorization.sender
        transfer = Transfer(
            sender=tools.wallet.address, recipient=payer, value=amount, nonce=payment.refund_nonce
        )
        outcome = await tools.token.outcome(transfer, since=payment.seen_from, valid_before=None)
        if isinstance(outcome, SearchedUpTo):
            return self._search_on(payment, outcome)
        if isinstance(outcome, CarriedOut):
            done = {"stage": "done", "refund_transaction": outcome.transaction}
            return self._register.write(payment.model_copy(update=done))
        if isinstance(outcome, NeverAgain):
            raise Stuck(f"the refund of {amount} was not carried out: {outcome.reason}")
        await self._ask_to_refund(payment, payer, amount)
        await tools.clock.sleep(LOOK_SECONDS)
        return payment

    def _search_on(self, payment: Payment, searched: SearchedUpTo) -> Payment:
        """Never search the same blocks again, nor after a crash."""
        return self._register.write(payment.model_copy(update={"seen_from": searched.block}))

    async def _ask_to_refund(self, payment: Payment, payer: bytes, amount: int) -> None:
        tools = self._tools
        held = await tools.token.balance(tools.wallet.address)
        if await tools.token.is_used(tools.wallet.address, payment.refund_nonce):
            return
        if held < amount:
            self._register.say(payment, "x402_waiting", f"{amount} go back, the wallet holds {held} yet")
            return
        signed = await tools.wallet.transfer(
            recipient=payer, value=amount, now=tools.clock.now(), nonce=payment.refund_nonce
        )
        await tools.platform.withdraw(signed)
