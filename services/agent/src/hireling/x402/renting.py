"""The rental that a payment is for: at most one, whatever happens in between."""

import asyncio
from datetime import timedelta

from hireling.announce import Field
from hireling.handing_in import NotTakenBack, PaidOut
from hireling.platform_errors import PlatformRefused
from hireling.rental.bill_document import Bill, SignedBill
from hireling.rental.documents import document_hash
from hireling.rental.errors import RentalError
from hireling.rental.escrow_math import Status
from hireling.renter.agent import RenterAgent
from hireling.renter.bargainer import NoDeal
from hireling.renter.book import Page
from hireling.renter.funding import FundingFailed
from hireling.renter.settling import BillRefused, Kept
from hireling.x402.payments import Payment
from hireling.x402.register import AGAIN_SECONDS, Register, Tools

# A machine may be held for a minute by an agreement that nobody funds; a crash of ours may have left one.
# It counts from a payment's first turn: how long others took is not its fault.
RENT_WITHIN = timedelta(minutes=3)
# One machine's slow agent keeps the other payments from their turn for so long at most.
BARGAIN_WITHIN_SECONDS = 60.0
# The machine is taken, or the marketplace hears too much at once: both pass.
PASSING = frozenset({409, 429})


class Turn:
    """Who may bargain and fund: one payment at a time, since the wallet's permits are numbered."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: str | None = None

    async def take(self, who: str) -> None:
        """Wait for the turn."""
        await self._lock.acquire()
        self._holder = who

    def leave(self, who: str) -> None:
        """Give the turn on, where it is this one's."""
        if self._holder == who:
            self._holder = None
            self._lock.release()


class Renting:
    """Rents for payments, from one wallet."""

    def __init__(self, tools: Tools, register: Register) -> None:
        self._tools = tools
        self._register = register
        self._turn = Turn()
        self._agents: dict[str, RenterAgent] = {}
        self._first_turns: dict[str, float] = {}
        self._limits: dict[str, asyncio.Timeout] = {}

    def stop_machine(self, payment: Payment) -> None:
        """Stop the machine that is rented for a payment; nothing happens where none runs."""
        agent = self._agents.get(payment.id)
        if agent is not None:
            agent.stop()

    async def rent(self, payment: Payment) -> Payment:
        """Rent what was paid for, or go on with it; return the payment, with what it cost once that is known.

        Raises Unbalanced, and what the marketplace and the chain raise.
        """
        page = self._page(payment)
        if page is not None and page.stage == "done":
            return await self._ended(payment, page, payment.reason)
        if page is not None and page.stage != "agreed":
            self._note_rental(payment, page.agreement.rental_id)
        reason, may_try_again = None, False
        try:
            await self._rented(payment, page)
        except (NoDeal, RentalError, FundingFailed, BillRefused, PaidOut, NotTakenBack) as error:
            reason = str(error)
        except PlatformRefused as error:
            if self._page(payment) is not None:
                raise
            reason, may_try_again = str(error), error.status in PASSING
        finally:
            self._agents.pop(payment.id, None)
        page, payment = self._page(payment), self._register.latest(payment)
        if page is None:
            return await self._without_rental(payment, reason, may_try_again=may_try_again)
        return await self._ended(payment, page, reason)

    async def _rented(self, payment: Payment, page: Page | None) -> Kept | None:
        agent = self._agents[payment.id] = self._agent_for(payment)
        if page is not None and page.stage != "agreed":
            return await agent.carry(page)
        await self._turn.take(payment.id)
        self._first_turns.setdefault(payment.id, self._tools.clock.now().timestamp())
        try:
            if page is not None:
                return await agent.carry(page)
            return await self._bargained(payment, agent)
        finally:
            self._turn.leave(payment.id)

    async def _bargained(self, payment: Payment, agent: RenterAgent) -> Kept | None:
        """Rent, with little time until there is an agreement and all that it takes from then on."""
        limit = self._limits[payment.id] = asyncio.timeout(BARGAIN_WITHIN_SECONDS)
        try:
            async with limit:
                listing = await self._tools.platform.listing(f"0x{payment.listing.hex()}")
                if document_hash(listing.document) != payment.listing:
                    raise NoDeal("the marketplace shows another listing than the one that was paid for")
                return await agent.rent(listing, seconds=payment.seconds, budget=None)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise NoDeal(f"no agreement within {BARGAIN_WITHIN_SECONDS:.0f} s") from error
        finally:
            del self._limits[payment.id]

    async def _without_rental(self, payment: Payment, reason: str | None, *, may_try_again: bool) -> Payment:
        """Nothing was agreed, so nothing of ours is locked."""
        now = self._tools.clock.now().timestamp()
        waited = now - self._first_turns.get(payment.id, now)
        if may_try_again and waited < RENT_WITHIN.total_seconds():
            self._register.say(payment, "x402_waiting", str(reason))
            await self._tools.clock.sleep(AGAIN_SECONDS)
            return payment
        return await self._over(payment, spent=0, reason=reason)

    async def _ended(self, payment: Payment, page: Page, reason: str | None) -> Payment:
        """Return the payment over once the escrow is done, whatever the marketplace says of the rental.

        While it is open, the owner may claim by a ceiling that it holds: nothing goes back before.
        """
        cost = await self._cost_on_chain(page)
        if cost is None:
            self._register.say(payment, "x402_waiting", reason or "the escrow has not settled the rental yet")
            await self._tools.clock.sleep(AGAIN_SECONDS)
            return payment
        bill = self._bill(page)
        if bill is not None and bill.total == cost:
            return await self._over(payment, spent=bill.spent, reason=reason)
        unbilled = "the rental ended without a bill" if cost else "the rental was cancelled unused"
        if bill is not None:
            unbilled = f"the bill says {bill.total}, the escrow paid {cost}"
        return await self._over(payment, spent=cost, reason=reason or unbilled)

    async def _cost_on_chain(self, page: Page) -> int | None:
        """Return what a rental that was not funded, or is over, cost; None while it may still be funded."""
        domain, terms = page.agreement.domain, page.agreement.agreement
        is_too_late = await self._tools.token.time() > terms.rules.fund_by
        block = await self._tools.token.height()
        slot = await self._tools.escrow.slot(domain.escrow, page.agreement.rental_id, block=block)
        if slot.has(Status.DONE):
            return slot.paid
        return 0 if is_too_late and slot.status == 0 else None

    def _page(self, payment: Payment) -> Page | None:
        pages = list(self._tools.book.rentals(payment).pages())
        return pages[-1] if pages else None

    def _bill(self, page: Page) -> Bill | None:
        """Return a finished rental's bill: it was kept before its page said so, if there was one."""
        path = self._tools.bills / f"0x{page.agreement.rental_id.hex()}.json"
        return SignedBill.model_validate_json(path.read_bytes()).bill if path.exists() else None

    def _agent_for(self, payment: Payment) -> RenterAgent:
        tools = self._tools

        def announce(event: str, **fields: Field) -> None:
            if event == "agreed" and (limit := self._limits.get(payment.id)) and not limit.expired():
                limit.reschedule(None)
            if event == "funded":
                self._note_rental(payment, bytes.fromhex(str(fields["rental_id"])[2:]))
                self._turn.leave(payment.id)
            tools.announce(event, payment=payment.id, **fields)

        return RenterAgent(
            platform=tools.platform,
            facts=tools.facts,
            wallet=tools.wallet,
            wallet_key=tools.wallet_key,
            keys=tools.keys,
            book=tools.book.rentals(payment),
            bills=tools.bills,
            clock=tools.clock,
            announce=announce,
            brief=tools.brief,
        )

    def _note_rental(self, payment: Payment, rental_id: bytes) -> None:
        known = self._register.latest(payment)
        if known.rental_id != rental_id:
            self._register.write(known.model_copy(update={"rental_id": rental_id}))

    async def _over(self, payment: Payment, *, spent: int, reason: str | None) -> Payment:
        seen_from = await self._tools.token.height()
        self._first_turns.pop(payment.id, None)
        return self._register.write(payment.over(spent=spent, reason=reason, seen_from=seen_from))
