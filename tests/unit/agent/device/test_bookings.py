"""The machine's own calendar: what it promised, and the rentals that it serves one after the other."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from hireling.announce import Field
from hireling.device.bookings import Bookings
from hireling.device.chain import EscrowReader
from hireling.device.engagement import Engagement
from hireling.device.log import RentalLog, log_path
from hireling.device.log_contents import Start
from hireling.device.tools import Tools
from hireling.drivers.driver import Facts, Pricing, Progress, Sample
from hireling.json_rpc import JsonRpc
from hireling.mqtt_line import Broker, MqttLine
from hireling.platform_client import PlatformClient
from hireling.rental.agreement import SignedAgreement
from hireling.rental.close import Unlock, UnlockAction
from hireling.rental.offer import first_offer
from hireling.rental.reading import ReadingChain
from hireling.rental.signing import sign
from hireling.rental.slot import Slot
from hireling.rental.states import State
from hireling.rental.topics import Answer, Ask
from hireling.rental.typed_data import to_hex
from tests.integration.agent.market_rows import Rental
from tests.integration.agent.marketplace import Marketplace
from tests.unit.agent.rentals import (
    ENERGY,
    PARTIES,
    START,
    HandClock,
    a_ceiling,
    a_listing,
    a_request,
    platform_terms,
    signed_by_both,
)

NOW, HOUR = int(START.timestamp()), 3_600


class TestBookings:
    def test_promises_no_second_twice_and_lets_neighbours_touch(self) -> None:
        bookings = Bookings(takes_bookings=True)
        bookings.hold(b"one", Slot(NOW, NOW + HOUR), now=START)
        assert not bookings.is_free(Slot(NOW + HOUR - 1, NOW + HOUR + 1), now=START)
        assert bookings.is_free(Slot(NOW + HOUR, NOW + 2 * HOUR), now=START)

    def test_an_agreement_without_its_money_holds_for_a_minute(self) -> None:
        bookings, slot = Bookings(takes_bookings=True), Slot(NOW, NOW + HOUR)
        bookings.hold(b"one", slot, now=START)
        assert not bookings.is_free(slot, now=START + timedelta(seconds=59))
        assert bookings.is_free(slot, now=START + timedelta(seconds=60))

    def test_the_first_that_is_funded_has_the_time(self) -> None:
        bookings, slot = Bookings(takes_bookings=True), Slot(NOW, NOW + HOUR)
        bookings.hold(b"first to agree", slot, now=START)
        bookings.hold(b"first to pay", slot, now=START)
        assert not bookings.is_lost(b"first to pay", slot)
        bookings.keep(b"first to pay", slot)
        assert bookings.is_lost(b"first to agree", slot)
        assert not bookings.is_lost(b"first to pay", slot)

    def test_what_is_not_used_is_free_again(self) -> None:
        bookings, slot = Bookings(takes_bookings=True), Slot(NOW, NOW + HOUR)
        bookings.keep(b"one", slot)
        bookings.release(b"one")
        assert bookings.is_free(slot, now=START)

    def test_without_bookings_there_is_one_agreement_at_a_time(self) -> None:
        bookings = Bookings()
        assert bookings.takes_questions(now=START)
        bookings.hold(b"one", Slot(NOW, NOW + HOUR), now=START)
        assert not bookings.takes_questions(now=START)
        assert not bookings.is_free(Slot(NOW + 9 * HOUR, NOW + 10 * HOUR), now=START)

    def test_with_bookings_questions_are_welcome_while_the_machine_works(self) -> None:
        bookings = Bookings(takes_bookings=True)
        bookings.keep(b"one", Slot(NOW, NOW + HOUR))
        assert bookings.takes_questions(now=START)


class SteppedClock(HandClock):
    """A clock that only tests move, and that wakes whoever has slept long enough."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[datetime, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self._sleepers.append((self.at + timedelta(seconds=seconds), woken))
        await woken.wait()

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        for until, woken in self._sleepers:
            if until <= self.at:
                woken.set()
        self._sleepers = [(until, woken) for until, woken in self._sleepers if not woken.is_set()]


class IdleDriver:
    """A machine that works until it is stopped."""

    facts = Facts(
        kind="appliance",
        title="Idle",
        description="",
        time_factor=1,
        counters=ENERGY.counters,
        step=(1,),
        pricing=Pricing(counter="energy_mJ", per=1, unit="mJ", default="1", default_flat="0"),
        ceiling_seconds=10,
        default_seconds=60,
    )

    async def begin(self, progress: Progress) -> None: ...

    async def samples(self) -> AsyncGenerator[Sample, None]:
        await asyncio.Event().wait()
        yield Sample(counters=(0,), monotonic_ms=0, position=0)

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def end(self) -> None: ...


@dataclass
class Machine:
    """A machine with engagements, and the marketplace and chain that it looks at."""

    market: Marketplace
    tools: Tools
    clock: SteppedClock
    events: list[tuple[str, str]]
    tasks: list["asyncio.Task[int | None]"] = field(default_factory=list)

    def agree(self, *, start_at: int, seconds: int = HOUR, salt: bytes = b"s") -> SignedAgreement:
        """Return an agreement that both signed."""
        listing = a_listing()
        request = a_request(listing, seconds=seconds).model_copy(update={"start_at": start_at})
        offer = first_offer(listing, request, platform_terms(), self.clock.now(), salt * 32, "quote-1")
        agreement = signed_by_both(offer)
        chain = ReadingChain(
            rental_id=agreement.rental_id, meter=agreement.agreement.pay.meter, domain=agreement.domain
        )
        rental = Rental(agreement=agreement, quote_id="quote-1", chain=chain)
        self.market.rentals[to_hex(agreement.rental_id)] = rental
        return agreement

    def fund(self, agreement: SignedAgreement) -> None:
        """Have the chain hold the money."""
        self.market.rentals[to_hex(agreement.rental_id)].state = State.FUNDED

    def engage(self, agreement: SignedAgreement, log: RentalLog | None = None) -> Engagement:
        """Carry a rental."""
        engagement = Engagement(self.tools, agreement, log)
        self.tasks.append(asyncio.create_task(engagement.run()))
        return engagement

    async def wait_for(self, agreement: SignedAgreement, event: str) -> None:
        """Wait until something was announced of a rental."""
        await self.wait_until(lambda: (event, to_hex(agreement.rental_id)) in self.events)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, while time stands still."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.002)

    def owners_close(self, agreement: SignedAgreement) -> int | None:
        """Return the use over which the owner's agent closed, if it did."""
        halves = self.market.rentals[to_hex(agreement.rental_id)].halves
        return halves["owner"][0].use if "owner" in halves else None


def ask(engagement: Engagement, action: UnlockAction) -> bool:
    """Ask the machine as its renter does, and answer its challenge; return whether it gave one."""
    rental_id = engagement.rental_id
    challenge = engagement.serving.on_ask(Ask(rental_id=rental_id, action=action))
    if challenge is None:
        return False
    unlock = Unlock(rental_id=rental_id, device=a_listing().device, nonce=challenge.nonce, action=action)
    signature = sign(PARTIES.renter_agent, platform_terms().domain, unlock)
    engagement.serving.on_answer(
        Answer(rental_id=rental_id, action=action, nonce=challenge.nonce, signature=signature)
    )
    return True


@asynccontextmanager
async def a_machine(folder: Path) -> AsyncIterator[Machine]:
    """Run a machine that takes bookings, without a line to the broker."""
    events: list[tuple[str, str]] = []

    def announce(event: str, **fields: Field) -> None:
        events.append((event, str(fields.get("rental_id"))))

    market = Marketplace(Broker("nowhere", 1), {})
    platform = PlatformClient("http://market", transport=market.http)
    rpc = JsonRpc("http://node", transport=market.node)
    clock = SteppedClock()
    (folder / "rentals").mkdir(exist_ok=True)
    tools = Tools(
        platform=platform,
        chain=EscrowReader(rpc, confirmations=2),
        line=MqttLine(Broker("nowhere", 1), topics=[], announce=announce),
        driver=IdleDriver(),
        meter_key=PARTIES.meter,
        agent_key=PARTIES.owner_agent,
        clock=clock,
        announce=announce,
        folder=folder / "rentals",
        bills=folder / "bills",
        device=a_listing().device,
        bill_signer=market.bill_key.identity,
        in_use=asyncio.Lock(),
        bookings=Bookings(takes_bookings=True),
    )
    made = Machine(market, tools, clock, events)
    try:
        yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
        await platform.close()
        await rpc.close()


def on_a_machine(story: Callable[[Machine], Awaitable[None]]) -> Callable[[Path], None]:
    """Return a test that plays a story on a machine of its own."""

    async def play(folder: Path) -> None:
        async with a_machine(folder) as machine:
            await story(machine)

    def test(tmp_path: Path) -> None:
        asyncio.run(play(tmp_path))

    return test


@on_a_machine
async def test_serves_each_rental_at_its_time_whichever_was_agreed_first(machine: Machine) -> None:
    later, sooner = machine.agree(start_at=NOW + 6 * HOUR), machine.agree(start_at=NOW, salt=b"t")
    booked = machine.engage(later)
    machine.fund(later)
    await machine.wait_for(later, "waiting_for_start")
    now = machine.engage(sooner)
    machine.fund(sooner)
    await machine.wait_for(sooner, "waiting_for_unlock")

    now.serving.on_ceiling(a_ceiling(sooner, max_claimable=100_000))
    assert ask(now, UnlockAction.UNLOCK)
    await machine.wait_for(sooner, "unlocked")
    assert ask(now, UnlockAction.STOP)
    await machine.wait_for(sooner, "ended")

    machine.clock.advance(6 * HOUR)
    await machine.wait_for(later, "waiting_for_unlock")
    booked.serving.on_ceiling(a_ceiling(later, max_claimable=100_000))
    assert ask(booked, UnlockAction.UNLOCK)
    await machine.wait_for(later, "unlocked")


@on_a_machine
async def test_unlocks_no_second_before_the_start(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW + HOUR)
    machine.fund(agreement)
    engagement = machine.engage(agreement)
    await machine.wait_for(agreement, "waiting_for_start")
    machine.clock.advance(HOUR - 1)
    engagement.serving.on_ceiling(a_ceiling(agreement, max_claimable=100_000))
    assert not ask(engagement, UnlockAction.UNLOCK)
    machine.clock.advance(1)
    await machine.wait_for(agreement, "waiting_for_unlock")
    engagement.serving.on_ceiling(a_ceiling(agreement, max_claimable=100_000))
    assert ask(engagement, UnlockAction.UNLOCK)


@on_a_machine
async def test_closes_the_one_that_was_funded_second_over_nothing(machine: Machine) -> None:
    slow, quick = machine.agree(start_at=NOW), machine.agree(start_at=NOW, salt=b"t")
    machine.engage(slow)
    machine.engage(quick)
    machine.fund(quick)
    await machine.wait_until(
        lambda: _tick(machine) and ("funded_seen", to_hex(quick.rental_id)) in machine.events
    )
    machine.fund(slow)
    await machine.wait_until(lambda: _tick(machine) and machine.owners_close(slow) == 0)
    await machine.wait_for(quick, "waiting_for_unlock")
    assert machine.owners_close(quick) is None


@on_a_machine
async def test_a_renter_calls_a_booking_off_and_the_time_is_free_again(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW + HOUR)
    slot = Slot(NOW + HOUR, NOW + 2 * HOUR)
    machine.fund(agreement)
    engagement = machine.engage(agreement)
    await machine.wait_for(agreement, "waiting_for_start")
    assert not machine.tools.bookings.is_free(slot, now=machine.clock.now())
    assert ask(engagement, UnlockAction.STOP)
    await machine.wait_until(lambda: _tick(machine) and machine.owners_close(agreement) == 0)
    assert machine.tools.bookings.is_free(slot, now=machine.clock.now())


@on_a_machine
async def test_a_booking_survives_a_restart(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW + HOUR)
    start = Start(agreement=agreement, funded_bps=10_000)
    path = log_path(machine.tools.folder, agreement.rental_id)
    RentalLog.create(path, start).close()
    machine.engage(agreement, RentalLog.open(path))
    await machine.wait_for(agreement, "waiting_for_start")
    assert not machine.tools.bookings.is_free(Slot(NOW + HOUR, NOW + 2 * HOUR), now=machine.clock.now())


def _tick(machine: Machine) -> bool:
    machine.clock.advance(1)
    return True


@on_a_machine
async def test_looks_at_the_chain_as_soon_as_it_is_told_to(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW)
    engagement = machine.engage(agreement)
    await asyncio.sleep(0.2)  # it has looked in vain, and its clock stands still
    machine.fund(agreement)
    engagement.on_rental_changed(State.FUNDED)
    await machine.wait_for(agreement, "funded_seen")


@on_a_machine
async def test_answers_a_renter_who_asked_before_the_machine_saw_the_money(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW)
    engagement = machine.engage(agreement)
    engagement.serving.on_ceiling(a_ceiling(agreement, max_claimable=100_000))
    assert not ask(engagement, UnlockAction.UNLOCK)
    machine.fund(agreement)
    await machine.wait_for(agreement, "ceiling_received")
    # There is no broker here: it says that the challenge could not be sent.
    await machine.wait_for(agreement, "challenge_not_sent")


@on_a_machine
async def test_answers_a_renter_who_asked_before_the_ceiling_came(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW)
    machine.fund(agreement)
    engagement = machine.engage(agreement)
    await machine.wait_for(agreement, "waiting_for_unlock")
    assert not ask(engagement, UnlockAction.UNLOCK)
    assert engagement.serving.on_ceiling(a_ceiling(agreement, max_claimable=100_000)) is not None
    assert engagement.serving.on_ceiling(a_ceiling(agreement, max_claimable=100_000)) is None
