"""The embedded broker, where amqtt alone would lose or leak messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiomqtt import Client, MqttError
from amqtt.contexts import Action
from amqtt.session import Session

from services.embedded.broker import LocalBroker
from services.embedded.door import Door
from tests.fakes.door import OpenDoor

SECONDS = 10.0
Journey = Callable[[LocalBroker], Awaitable[None]]


def on_a_broker(journey: Journey, *, made_by: type[LocalBroker] = LocalBroker) -> None:
    """Run a journey on a broker of its own."""

    async def run() -> None:
        broker = made_by(host="127.0.0.1", port=0, door=OpenDoor())
        await broker.start()
        try:
            async with asyncio.timeout(SECONDS):
                await journey(broker)
        finally:
            await broker.shutdown()

    asyncio.run(run())


@asynccontextmanager
async def client(broker: LocalBroker, name: str) -> AsyncIterator[Client]:
    """Connect to the broker for the length of a block."""
    async with Client("127.0.0.1", broker.port, identifier=name, timeout=SECONDS) as connected:
        yield connected


async def payloads(connected: Client, count: int) -> list[bytes]:
    """Return the next messages' payloads."""
    return [(await anext(connected.messages)).payload for _ in range(count)]


class TestRetainedMessages:
    def test_reach_whoever_subscribes_to_their_topic(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            async with client(broker, "speaker") as speaker, client(broker, "listener") as listener:
                await speaker.publish("doors/front", b"open", qos=1, retain=True)
                await listener.subscribe("doors/+", qos=1)
                assert await payloads(listener, 1) == [b"open"]

        on_a_broker(journey)

    def test_do_not_reach_a_client_that_merely_connects(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            async with client(broker, "speaker") as speaker, client(broker, "listener") as listener:
                await listener.subscribe("doors/+", qos=1)
                await speaker.publish("doors/front", b"open", qos=1, retain=True)
                assert await payloads(listener, 1) == [b"open"]
                async with client(broker, "stranger") as stranger:
                    await stranger.subscribe("windows/+", qos=1)
                    await speaker.publish("windows/attic", b"shut", qos=1)
                    assert await payloads(stranger, 1) == [b"shut"]

        on_a_broker(journey)


class SlowToPermit(LocalBroker):
    """A broker on which a subscription is made while a message is on its way to the subscribers."""

    newcomers = 0

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        if action is Action.RECEIVE:
            self.newcomers += 1
            await self.add_subscription((f"newcomer/{self.newcomers}", 1), session)
        permitted: bool = await super()._topic_filtering(session, topic, action)
        return permitted


class TestSubscriptions:
    def test_made_while_a_message_is_on_its_way_keep_nobody_from_it(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            async with client(broker, "first") as first, client(broker, "second") as second:
                await first.subscribe("meters/1", qos=1)
                await second.subscribe("meters/+", qos=1)
                await first.publish("meters/1", b"7", qos=1)
                assert await payloads(first, 1) == [b"7"]
                assert await payloads(second, 1) == [b"7"]

        on_a_broker(journey, made_by=SlowToPermit)


class Gated(LocalBroker):
    """A broker that passes no message on before its gate opens."""

    def __init__(self, *, host: str, port: int, door: Door) -> None:
        super().__init__(host=host, port=port, door=door)
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def _topic_filtering(self, session: Session, topic: str, action: Action) -> bool:
        if action is Action.PUBLISH:
            self.reached.set()
            await self.gate.wait()
        permitted: bool = await super()._topic_filtering(session, topic, action)
        return permitted


class TestAcknowledgedMessages:
    def test_are_on_their_way_before_their_sender_hears_so(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            assert isinstance(broker, Gated)
            async with client(broker, "sender") as sender:
                publishing = asyncio.create_task(sender.publish("meters/1", b"7", qos=1))
                await broker.reached.wait()
                # By the answer to this, an early acknowledgement would have arrived too.
                await sender.subscribe("meters/2", qos=1)
                assert not publishing.done()
                broker.gate.set()
                await publishing

        on_a_broker(journey, made_by=Gated)

    def test_arrive_although_their_sender_leaves_at_once(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            async with client(broker, "listener") as listener:
                await listener.subscribe("meters/1", qos=1)
                async with client(broker, "hasty") as hasty:
                    await asyncio.gather(*(hasty.publish("meters/1", b"%d" % n, qos=1) for n in range(8)))
                assert sorted(await payloads(listener, 8)) == [b"%d" % n for n in range(8)]

        on_a_broker(journey)

    def test_on_a_forbidden_topic_end_their_sender_s_connection(self) -> None:
        async def journey(broker: LocalBroker) -> None:
            async with client(broker, "listener") as listener:
                await listener.subscribe("meters/1", qos=1)
                with pytest.raises(MqttError):
                    await self.intrude(broker)
                await listener.publish("meters/1", b"8", qos=1)
                assert await payloads(listener, 1) == [b"8"]

        on_a_broker(journey)

    async def intrude(self, broker: LocalBroker) -> None:
        async with client(broker, "intruder") as intruder:
            await intruder.publish("$SYS/meters", b"7", qos=1)
            await anext(intruder.messages)
