"""Both sides of a rental driven by hand, so that a test can have them misbehave.

Their keys, their lines to the broker, and what each may sign. The marketplace between them is the real one.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiomqtt import Client

from hireling.broker_pass import BrokerPass
from hireling.clock import SystemClock
from hireling.device.chain import EscrowReader
from hireling.mqtt_line import topic_of
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView, RefusalView, RentalView
from hireling.rental.agreement import SignedAgreement
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling, first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.close import Close
from hireling.rental.escrow_math import Slot
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.states import State
from services.settlement.escrow.chain import Chain
from tests.builders import a_reading_chain

WITHIN = 45.0  # seconds; four processes may share two busy cores
LOOK_EVERY = 0.1
SAY_AGAIN = 10.0
QOS_AT_LEAST_ONCE = 1
# 100 W, a tenth of the most the machine can draw: whatever the test does, it is not implausibly fast.
STEP = (100_000, 100)

Found = TypeVar("Found")


async def until(look: Callable[[], Awaitable[Found | None]], what: str) -> Found:
    """Return what the look finds, as soon as it finds something."""
    try:
        async with asyncio.timeout(WITHIN):
            while not (found := await look()):  # noqa: ASYNC110 - it is another process that changes
                await asyncio.sleep(LOOK_EVERY)
    except TimeoutError as error:
        raise AssertionError(f"{WITHIN:.0f} s passed without {what}") from error
    return found


def holdings(door: Chain, people: Mapping[str, bytes]) -> dict[str, int]:
    """Return what each has, tokens and credit, and what the escrow holds beyond its credits.

    It is all the money there is between them.
    """
    wallets = {name: door.wallet(address) for name, address in people.items()}
    owed = sum(wallet.credit for wallet in wallets.values())
    found = {name: wallet.balance + wallet.credit for name, wallet in wallets.items()}
    return {**found, "escrow": door.wallet(door.deployment.escrow).balance - owed}


@dataclass
class Line:
    """The device's line to the broker: what it is told, and the means to say anything at all.

    What is the renter's to say goes over the renter's own line, once there is one.
    """

    client: Client
    device: bytes
    renter: Client | None = None
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def listen(self) -> None:
        """Keep what the marketplace tells the device, until cancelled."""
        async for message in self.client.messages:
            word = message.topic.value.rpartition("/")[2]
            self.heard.append((word, json.loads(bytes(message.payload))))

    async def say(self, word: str, payload: str | bytes) -> None:
        """Publish on one of the device's topics."""
        client = self.renter if word == "ceilings" and self.renter is not None else self.client
        await client.publish(topic_of(self.device, word), payload, qos=QOS_AT_LEAST_ONCE, timeout=WITHIN)

    async def hear(self, word: str, **fields: Any) -> dict[str, Any]:
        """Return the first message on the topic with these fields, however early it came."""

        async def look() -> dict[str, Any] | None:
            found = (body for topic, body in self.heard if topic == word and fields.items() <= body.items())
            return next(found, None)

        return await until(look, f"{word} {fields}")


@dataclass(frozen=True)
class HandRental:
    """A funded rental and everybody's keys."""

    platform: PlatformClient
    facts: PlatformView
    escrow: EscrowReader
    line: Line
    signed: SignedAgreement
    owner: Secp256k1Key
    owner_agent: Secp256k1Key
    meter: Secp256k1Key
    wallet: Secp256k1Key
    session: Secp256k1Key

    @property
    def id(self) -> str:
        """Return the rental's id, 0x-hex."""
        return f"0x{self.signed.rental_id.hex()}"

    def renters_pass(self) -> BrokerPass:
        """Return the renter's way into the broker."""
        return BrokerPass(
            self.platform,
            domain=self.signed.domain,
            key=self.session,
            device=self.line.device,
            clock=SystemClock(),
            rental_id=self.signed.rental_id,
        )

    @property
    def people(self) -> dict[str, bytes]:
        """Return who may end up with money."""
        return {"owner": self.owner.identity, "renter": self.wallet.identity, "fee": self.facts.fee_to}

    def honest_readings(self, number: int) -> tuple[SignedReading, ...]:
        """Return that many readings of a machine that draws 100 W, one a second; the last one ends."""
        counters = [tuple(step * min(at, number - 2) for step in STEP) for at in range(number)]
        return a_reading_chain(number, signed=self.signed, meter_key=self.meter, counters=counters)

    async def say(self, reading: SignedReading | bytes) -> None:
        """Publish a reading, or anything else, where readings go."""
        payload = reading if isinstance(reading, bytes) else reading.model_dump_json()
        await self.line.say("readings", payload)

    async def say_all(self, readings: Sequence[SignedReading]) -> None:
        """Publish readings in this order, again where nobody answers; return once the highest is durable."""
        highest = max(reading.reading.seq for reading in readings)
        deadline = asyncio.get_running_loop().time() + WITHIN
        while True:
            for reading in readings:
                await self.say(reading)
            try:
                async with asyncio.timeout(SAY_AGAIN):
                    return await self.acked(highest)
            except TimeoutError:
                # The ingest of a marketplace that has just opened may not listen yet.
                if asyncio.get_running_loop().time() > deadline:
                    raise

    async def acked(self, seq: int) -> None:
        """Wait until the marketplace holds everything up to this number."""
        await self.line.hear("acks", rental_id=self.id, seq=str(seq))

    async def acknowledge(self, reading: SignedReading | None) -> SignedCeiling:
        """Have the renter allow a block beyond the reading that it acknowledges, or beyond nothing."""
        terms = self.signed.agreement
        ceiling = (
            first_ceiling(terms, rental_id=self.signed.rental_id)
            if reading is None
            else next_ceiling(terms, reading.reading)
        )
        signed = sign_ceiling(self.session, self.signed.domain, ceiling)
        await self.line.say("ceilings", signed.model_dump_json())
        await self.view_where(
            lambda view: view.acknowledged == ceiling.ack_amount, f"{ceiling.ack_amount} acknowledged"
        )
        return signed

    async def view_where(self, holds: Callable[[RentalView], bool], what: str) -> RentalView:
        """Return the rental as soon as this holds of it."""

        async def look() -> RentalView | None:
            view = await self.platform.rental(self.signed.rental_id)
            return view if holds(view) else None

        return await until(look, what)

    async def refused(self, code: str, seq: int | None) -> RefusalView:
        """Return the refusal with this code and number as soon as the marketplace lists it."""

        async def look() -> RefusalView | None:
            found = (one for one in await self.refusals() if (one.code, one.seq) == (code, seq))
            return next(found, None)

        return await until(look, f"{code} of number {seq} among the refusals")

    async def refusals(self) -> Sequence[RefusalView]:
        """Return everything that the marketplace lists as refused."""
        return await self.platform.refusals(self.signed.rental_id)

    async def slot(self) -> Slot:
        """Return what the chain itself holds of the rental."""
        return await self.escrow.slot(self.signed.domain.escrow, self.signed.rental_id)

    async def claimed(self, *, paid: int, tail: int) -> None:
        """Wait until the chain says that this is paid and this waits for the challenge window."""

        async def look() -> bool:
            slot = await self.slot()
            return (slot.paid, slot.tail) == (paid, tail)

        await until(look, f"{paid} paid and {tail} waiting on the chain")

    async def close(self, use: int) -> SignedBill:
        """Close with both sides' signatures; return the bill."""
        close = Close(
            rental_id=self.signed.rental_id,
            use=use,
            damage=0,
            valid_until=self.signed.agreement.claim_by,
        )
        owners, renters = (sign(key, self.signed.domain, close) for key in (self.owner_agent, self.session))
        await self.platform.submit_close(close, by="owner", signature=owners)
        await self.platform.submit_close(close, by="renter", signature=renters)
        await self.view_where(lambda view: view.state is State.SETTLED and view.bill, "the bill")
        return await self.platform.bill(self.signed.rental_id)
