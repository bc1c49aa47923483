"""The device's agent: what it accepted survives a restart, and a paid rental waits for no bargaining."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast
from unittest.mock import patch

from hireling.announce import Field
from hireling.device import agent as agent_module
from hireling.device.agent import DeviceAgent
from hireling.device.bookings import Bookings
from hireling.device.engagement import FORGOTTEN
from hireling.device.log import RentalLog, log_path
from hireling.device.log_contents import Start
from hireling.device.moves import MovesOverMqtt
from hireling.device.negotiator import Negotiator
from hireling.device.presence import Presence
from hireling.mandate_ledger import MandateLedger
from hireling.mqtt_line import Broker, Listener, MqttLine, topic_of
from hireling.platform_views import QuoteView, WorkView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.slot import Slot
from hireling.rental.topics import Refusal
from hireling.rental.typed_data import to_hex
from tests.unit.agent.device.test_bookings import HOUR, NOW, Machine, on_a_machine
from tests.unit.agent.device.test_moves import session
from tests.unit.agent.rentals import a_listing


class QuietLine(MqttLine):
    """A line that never comes up."""

    async def run(self, listener: Listener) -> None:
        await asyncio.Event().wait()


class Listed:
    """A machine's presence that is there at once."""

    device = a_listing().device

    async def arrive(self) -> None: ...

    async def stay(self) -> None:
        await asyncio.Event().wait()


class SlowTable:
    """A negotiator whose answer takes for ever."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, quote: QuoteView) -> None:
        self.asked.append(quote.quote_id)
        await asyncio.Event().wait()


@asynccontextmanager
async def an_agent(
    machine: Machine, bookings: Bookings, table: SlowTable, *, news: bool = False
) -> AsyncIterator[DeviceAgent]:
    """Run the machine's agent under these options of its owner."""
    line = QuietLine(Broker("nowhere", 1), topics=[], announce=machine.tools.announce)
    tools = replace(machine.tools, bookings=bookings, line=line)
    moves = MovesOverMqtt(
        platform=tools.platform, line=line, device=tools.device, announce=machine.tools.announce
    )
    if news:
        moves.on_session(session().model_dump_json().encode())
    agent = DeviceAgent(
        tools=tools,
        presence=cast("Presence", Listed()),
        negotiator=cast("Negotiator", table),
        ledger=MandateLedger(tools.bills.parent / "mandates.sqlite"),
        moves=moves,
    )
    running = asyncio.create_task(agent.run_for_ever())
    try:
        yield agent
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def accept(machine: Machine, agreement: SignedAgreement) -> None:
    """Have the machine's log of a paid booking on the disk, as an earlier run left it."""
    machine.fund(agreement)
    path = log_path(machine.tools.folder, agreement.rental_id)
    RentalLog.create(path, Start(agreement=agreement, funded_bps=10_000)).close()


@on_a_machine
async def test_what_is_paid_is_kept_whatever_the_owner_wants_after_a_restart(machine: Machine) -> None:
    booked = [machine.agree(start_at=NOW + hours * HOUR) for hours in (3, 5, 7)]
    for agreement in booked:
        accept(machine, agreement)
    async with an_agent(machine, Bookings(turnaround=24 * HOUR), SlowTable()):
        for agreement in booked:
            await machine.wait_for(agreement, "waiting_for_start")
    assert [machine.owners_close(agreement) for agreement in booked] == [None] * 3


@on_a_machine
async def test_after_a_restart_the_earlier_of_two_is_served_first(machine: Machine) -> None:
    earlier = machine.agree(start_at=NOW + HOUR, seconds=2 * HOUR)
    later = next(
        each
        for salt in range(256)
        if (each := machine.agree(start_at=NOW + HOUR + 900, salt=bytes([salt]))).rental_id
        < earlier.rental_id
    )
    accept(machine, earlier)
    accept(machine, later)
    machine.clock.advance(HOUR + 1_000)
    async with an_agent(machine, Bookings(takes_bookings=True), SlowTable()):
        await machine.wait_until(lambda: any(event == "waiting_for_unlock" for event, _ in machine.events))
    served = [rental_id for event, rental_id in machine.events if event == "waiting_for_unlock"]
    assert served[0] == to_hex(earlier.rental_id)


@on_a_machine
async def test_a_refusal_outlives_a_crash_and_the_one_that_was_first(machine: Machine) -> None:
    agreement = machine.agree(start_at=NOW + HOUR)
    path = log_path(machine.tools.folder, agreement.rental_id)
    machine.fund(agreement)

    def crash(event: str, **_: Field) -> None:
        raise RuntimeError(event)

    whole, machine.tools = machine.tools, replace(machine.tools, announce=crash)
    machine.engage(agreement)
    machine.tools.bookings.keep(b"the first", Slot(NOW + HOUR, NOW + 2 * HOUR))
    await machine.wait_until(machine.tasks[0].done)

    machine.tools = replace(whole, bookings=Bookings(takes_bookings=True))
    machine.engage(agreement, RentalLog.open(path))
    await machine.wait_until(lambda: machine.owners_close(agreement) == 0)


@on_a_machine
async def test_a_rental_is_engaged_while_an_answer_at_the_table_is_long_in_coming(machine: Machine) -> None:
    agreement, table = machine.agree(start_at=NOW + HOUR), SlowTable()
    async with an_agent(machine, Bookings(takes_bookings=True), table, news=True):
        await machine.wait_for(agreement, "agreed")
        await machine.wait_until(lambda: len(table.asked) == 1)


@on_a_machine
async def test_news_that_never_cease_put_no_question_off(machine: Machine) -> None:
    work, asked = machine.tools.platform.work, 0

    async def counted(device: bytes) -> WorkView:
        nonlocal asked
        asked += 1
        return await work(device)

    bookings = Bookings()  # one rental at a time, and it has one
    bookings.keep(b"the one", Slot(NOW, NOW + HOUR))
    news = session().model_dump_json().encode()
    topic = topic_of(a_listing().device, "sessions")
    with (
        patch.object(machine.tools.platform, "work", counted),
        patch.object(agent_module, "POLL_SECONDS", 0.05),
    ):
        async with an_agent(machine, bookings, SlowTable()) as agent:
            async with asyncio.timeout(30):
                while asked < 5:
                    agent.listener.on_message(topic, news)
                    await asyncio.sleep(0.005)


@on_a_machine
async def test_a_rental_that_is_refused_as_unknown_is_asked_about_once(machine: Machine) -> None:
    agreement, table = machine.agree(start_at=NOW + HOUR), SlowTable()
    refused = Refusal(rental_id=agreement.rental_id, seq=0, code=FORGOTTEN, detail="")
    async with an_agent(machine, Bookings(takes_bookings=True), table) as agent:
        await machine.wait_for(agreement, "agreed")
        wants: list[bool] = []
        for _ in range(3):
            agent._must_ask = False
            agent.listener.on_message(
                topic_of(a_listing().device, "refusals"), refused.model_dump_json().encode()
            )
            wants.append(agent._must_ask)
    assert wants == [True, False, False]
