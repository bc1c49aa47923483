"""The broker's door, on the embedded broker and on Mosquitto.

Who comes in, what they may say and hear, and who is cut off.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiomqtt import Client, MqttError, Will
from aiomqtt.exceptions import MqttConnectError

from hireling.rental.broker_users import INGEST, bargainer_user, device_user, renter_user
from services.chassis.clock import SystemClock
from services.chassis.database import Database, open_database
from services.chassis.migrations import migrate
from services.chassis.mqtt_settings import MqttSettings
from services.metering.access import hash_of, new_password
from services.metering.access_store import AccessStore
from services.metering.keeper import Keeper
from services.metering.settings import KeeperSettings
from tests import stack
from tests.chain import free_port
from tests.integration.metering.device import connected
from tests.integration.metering.lines import PASSWORD, named, port_of
from tests.integration.metering.servers import running_broker, wait_until

MINE, OTHERS = "0x" + "1a" * 32, "0x" + "2b" * 32
READINGS, OTHERS_READINGS = f"hireling/{MINE}/readings", f"hireling/{OTHERS}/readings"
ACKS, OTHERS_ACKS = f"hireling/{MINE}/acks", f"hireling/{OTHERS}/acks"
AGENT, OTHER_AGENT = bargainer_user(b"\x01" * 20), bargainer_user(b"\x02" * 20)
OTHER_SESSIONS = f"hireling/{OTHER_AGENT}/sessions"
WITHIN_SECONDS = 60.0


@dataclass
class Door:
    """A broker's door, and the database that says who may pass."""

    port: int
    database: Database

    def let_in(self, name: str, *, seconds: float = 3_600) -> str:
        """Give a user a new password; return the broker's address with it."""
        password = new_password()
        self._change(name, hash_of(password), datetime.now(UTC) + timedelta(seconds=seconds))
        return named(self.port, name, password)

    def shut_out(self, name: str) -> None:
        """Take a user's password away, as a revoked key does."""
        self._change(name, None, None)

    def _change(self, name: str, kept: str | None, until: datetime | None) -> None:
        with self.database.unit_of_work() as session:
            store = AccessStore(session)
            account = store.lock(name, device=name[-66:])
            account.password_hash, account.expires_at = kept, until
            store.note_change(account)

    @property
    def ingest(self) -> str:
        """Return the address with the ingest's name."""
        return named(self.port, INGEST, PASSWORD)

    @property
    def keeper_settings(self) -> KeeperSettings:
        """Return how Mosquitto's keeper keeps this door."""
        folder = stack.mqtt_folder()
        return KeeperSettings(
            passwords=folder / "passwords",
            pid_file=folder / "mosquitto.pid",
            operators=folder / "operators",
            reload_seconds=0.1,
            poll_seconds=0.05,
        )


@contextmanager
def keeper_of(door: Door) -> Iterator[None]:
    """Keep Mosquitto's door for the length of a block."""
    stopping = threading.Event()
    keeper = Keeper(
        door.database,
        settings=door.keeper_settings,
        mqtt=MqttSettings(mqtt_url=door.ingest),
        now=SystemClock().now,
    )
    thread = threading.Thread(target=keeper.run, args=[stopping])
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.stack)])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """Return the door of a broker that runs."""
    with ExitStack() as cleanup:
        url = f"sqlite:///{tmp_path}/metering.db"
        migrate("metering", url=url)
        database = open_database(url)
        cleanup.callback(database.close)
        if request.param == "mosquitto":
            door = Door(port_of(stack.mqtt_url()), database)
            cleanup.enter_context(keeper_of(door))
        else:
            door = Door(free_port(), database)
            cleanup.enter_context(running_broker(door.port, url))
        yield door


def go(journey: Callable[[], Awaitable[None]]) -> None:
    """Run a journey in its time."""

    async def in_time() -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            await journey()

    asyncio.run(in_time())


async def is_let_in(door: Door, username: str | None, password: str | None) -> bool:
    """Return whether the broker lets somebody in by this."""
    try:
        async with Client("127.0.0.1", door.port, username=username, password=password):
            return True
    except MqttConnectError:
        return False


async def heard(client: Client) -> tuple[str, bytes]:
    """Return the next message: its topic and its payload."""
    message = await anext(client.messages)
    return message.topic.value, bytes(message.payload)


async def say(client: Client, topic: str, payload: bytes) -> None:
    """Publish at quality 1."""
    await client.publish(topic, payload, qos=1)


async def live_until_cut_off(url: str) -> None:
    """Connect, and wait until the broker ends the connection."""
    try:
        async with connected(url) as client:
            await anext(client.messages)
    except MqttError:
        return
    raise AssertionError("the connection was not cut off")


async def forge(url: str, topic: str) -> None:
    """Publish where that is not allowed; Mosquitto 2.0.11 ends the connection, others drop the message."""
    async with connected(url) as client:
        with suppress(MqttError):
            await say(client, topic, b"forged")


def password_in(url: str) -> str:
    """Return the password in an address."""
    return url.rpartition("@")[0].rpartition(":")[2]


@asynccontextmanager
async def nobody() -> AsyncIterator[None]:
    """Connect nobody."""
    yield None


@asynccontextmanager
async def listening(url: str, *topics: str) -> AsyncIterator[Client]:
    """Connect and subscribe for the length of a block."""
    async with connected(url) as client:
        for topic in topics:
            await client.subscribe(topic, qos=1)
        yield client


class TestComingIn:
    def test_needs_a_name_and_its_password(self, door: Door) -> None:
        address = door.let_in(device_user(MINE))

        async def journey() -> None:
            async with connected(address):
                assert not await is_let_in(door, None, None)
                assert not await is_let_in(door, device_user(MINE), None)
                assert not await is_let_in(door, device_user(MINE), "guessed")
                assert not await is_let_in(door, device_user(OTHERS), "guessed")
                assert not await is_let_in(door, INGEST, "guessed")
                assert not await is_let_in(door, "admin", "")

        go(journey)

    def test_with_a_new_password_ends_the_connection_by_the_old(self, door: Door) -> None:
        first = door.let_in(device_user(MINE))

        async def journey() -> None:
            async with asyncio.TaskGroup() as tasks:
                cut_off = tasks.create_task(live_until_cut_off(first))
                await asyncio.sleep(0.5)
                second = door.let_in(device_user(MINE))
                await cut_off
                async with connected(second):
                    assert not await is_let_in(door, device_user(MINE), password_in(first))

        go(journey)

    def test_is_over_when_the_time_is(self, door: Door) -> None:
        address = door.let_in(device_user(MINE), seconds=15)

        go(lambda: live_until_cut_off(address))


class TestADevice:
    def test_is_heard_by_the_ingest_and_hears_it(self, door: Door) -> None:
        address = door.let_in(device_user(MINE))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/+/readings") as ingest,
                listening(address, ACKS) as device,
            ):
                await say(device, READINGS, b"7")
                assert await heard(ingest) == (READINGS, b"7")
                await say(ingest, ACKS, b"so far 7")
                assert await heard(device) == (ACKS, b"so far 7")

        go(journey)

    def test_cannot_speak_on_another_s_topics(self, door: Door) -> None:
        mine, others = door.let_in(device_user(MINE)), door.let_in(device_user(OTHERS))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/+/readings", "hireling/+/ceilings") as ingest,
                listening(mine) as device,
                listening(others, OTHERS_ACKS) as other,
            ):
                for topic in (OTHERS_READINGS, OTHERS_ACKS, f"hireling/{MINE}/ceilings", ACKS):
                    await forge(mine, topic)
                await say(device, READINGS, b"mine")
                await say(other, OTHERS_READINGS, b"theirs")
                assert sorted([await heard(ingest), await heard(ingest)]) == [
                    (READINGS, b"mine"),
                    (OTHERS_READINGS, b"theirs"),
                ]
                await say(ingest, OTHERS_ACKS, b"so far 7")
                assert await heard(other) == (OTHERS_ACKS, b"so far 7")

        go(journey)

    @pytest.mark.parametrize("wanted", [OTHERS_ACKS, "hireling/+/acks", "#", "hireling/#"])
    def test_cannot_listen_to_another(self, door: Door, wanted: str) -> None:
        mine, others = door.let_in(device_user(MINE)), door.let_in(device_user(OTHERS))

        async def journey() -> None:
            async with (
                listening(door.ingest) as ingest,
                listening(mine, wanted, ACKS) as eavesdropper,
                listening(others, OTHERS_ACKS) as other,
            ):
                await say(ingest, OTHERS_ACKS, b"secret")
                assert await heard(other) == (OTHERS_ACKS, b"secret")
                await say(ingest, ACKS, b"for me")
                assert await heard(eavesdropper) == (ACKS, b"for me")

        go(journey)

    def test_cannot_leave_a_will_on_another_s_topics(self, door: Door) -> None:
        address = door.let_in(device_user(MINE))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/+/readings") as ingest,
                listening(address) as device,
            ):
                will = Will(OTHERS_READINGS, b"forged", qos=1)
                with suppress(MqttError):
                    async with Client(
                        "127.0.0.1",
                        door.port,
                        username=device_user(MINE),
                        password=password_in(address),
                        will=will,
                    ) as dying:
                        dying._client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
                        await anext(dying.messages)
                await asyncio.sleep(1)
                await say(device, READINGS, b"mine")
                assert await heard(ingest) == (READINGS, b"mine")

        go(journey)


class TestARenter:
    def test_hears_the_machine_it_rents_and_says_what_renters_say(self, door: Door) -> None:
        devices = door.let_in(device_user(MINE))
        renters = door.let_in(renter_user(MINE))

        async def journey() -> None:
            ask = f"hireling/{MINE}/unlock/ask"
            async with (
                listening(devices, ask, f"hireling/{MINE}/ceilings") as device,
                listening(renters, READINGS) as renter,
            ):
                await say(device, READINGS, b"7")
                assert await heard(renter) == (READINGS, b"7")
                await say(renter, ask, b"open")
                assert await heard(device) == (ask, b"open")

        go(journey)

    def test_neither_measures_nor_hears_other_machines(self, door: Door) -> None:
        others, renters = door.let_in(device_user(OTHERS)), door.let_in(renter_user(MINE))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/+/readings", "hireling/+/ceilings") as ingest,
                listening(others) as other,
                listening(renters, OTHERS_READINGS) as renter,
            ):
                await forge(renters, READINGS)
                await forge(renters, f"hireling/{OTHERS}/ceilings")
                await say(renter, f"hireling/{MINE}/ceilings", b"mine")
                assert await heard(ingest) == (f"hireling/{MINE}/ceilings", b"mine")
                await say(other, OTHERS_READINGS, b"7")
                assert await heard(ingest) == (OTHERS_READINGS, b"7")
                await renter.publish(f"hireling/{MINE}/ceilings", b"again", qos=1)
                assert not len(renter.messages)

        go(journey)


class TestABargainer:
    """A renter's agent that has a session with a machine, and no rental."""

    def test_says_its_moves_and_hears_what_became_of_them(self, door: Door) -> None:
        agents = door.let_in(AGENT)

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/bargainers/+/moves", "hireling/+/moves") as ingest,
                listening(agents, f"hireling/{AGENT}/answers", f"hireling/{AGENT}/sessions") as agent,
            ):
                await say(agent, f"hireling/{AGENT}/moves", b"an offer")
                assert await heard(ingest) == (f"hireling/{AGENT}/moves", b"an offer")
                for word in ("answers", "sessions"):
                    await say(ingest, f"hireling/{AGENT}/{word}", b"told")
                    assert await heard(agent) == (f"hireling/{AGENT}/{word}", b"told")

        go(journey)

    def test_cannot_move_for_others(self, door: Door) -> None:
        agents, others = door.let_in(AGENT), door.let_in(OTHER_AGENT)
        devices, renters = door.let_in(device_user(MINE)), door.let_in(renter_user(MINE))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/bargainers/+/moves", "hireling/+/moves") as ingest,
                listening(others, f"hireling/{OTHER_AGENT}/answers") as other,
            ):
                for forger in (agents, devices, renters):
                    await forge(forger, f"hireling/{OTHER_AGENT}/moves")
                    await forge(forger, f"hireling/{OTHER_AGENT}/answers")
                for forger in (agents, renters):
                    await forge(forger, f"hireling/{MINE}/moves")
                await say(other, f"hireling/{OTHER_AGENT}/moves", b"mine")
                assert await heard(ingest) == (f"hireling/{OTHER_AGENT}/moves", b"mine")
                await say(ingest, f"hireling/{OTHER_AGENT}/answers", b"done")
                assert await heard(other) == (f"hireling/{OTHER_AGENT}/answers", b"done")

        go(journey)

    @pytest.mark.parametrize(
        ("name", "wanted"),
        [
            (AGENT, OTHER_SESSIONS),
            (AGENT, "hireling/bargainers/+/sessions"),
            (device_user(MINE), OTHER_SESSIONS),
            (renter_user(MINE), OTHER_SESSIONS),
        ],
    )
    def test_is_not_listened_to(self, door: Door, name: str, wanted: str) -> None:
        eavesdroppers, others = door.let_in(name), door.let_in(OTHER_AGENT)
        own = READINGS if name == renter_user(MINE) else f"hireling/{name}/sessions"

        async def journey() -> None:
            async with (
                listening(door.ingest) as ingest,
                listening(eavesdroppers, wanted, own) as eavesdropper,
                listening(others, OTHER_SESSIONS) as other,
                listening(door.let_in(device_user(MINE))) if own == READINGS else nobody() as device,
            ):
                await say(ingest, OTHER_SESSIONS, b"secret")
                assert await heard(other) == (OTHER_SESSIONS, b"secret")
                await say(device or ingest, own, b"for me")
                assert await heard(eavesdropper) == (own, b"for me")

        go(journey)

    def test_of_a_machine_hears_its_own_sessions_alone(self, door: Door) -> None:
        mine, others = door.let_in(device_user(MINE)), door.let_in(device_user(OTHERS))

        async def journey() -> None:
            ours, theirs = f"hireling/{MINE}/sessions", f"hireling/{OTHERS}/sessions"
            async with (
                listening(door.ingest) as ingest,
                listening(mine, theirs, ours) as device,
                listening(others, theirs) as other,
            ):
                await forge(mine, f"hireling/{OTHERS}/moves")
                await say(ingest, theirs, b"secret")
                assert await heard(other) == (theirs, b"secret")
                await say(ingest, ours, b"for me")
                assert await heard(device) == (ours, b"for me")

        go(journey)


class TestShuttingOut:
    def test_cuts_off_a_live_connection_and_leaves_the_others(self, door: Door) -> None:
        mine, others = door.let_in(device_user(MINE)), door.let_in(device_user(OTHERS))

        async def journey() -> None:
            async with (
                listening(door.ingest, "hireling/+/readings") as ingest,
                listening(others) as other,
                asyncio.TaskGroup() as tasks,
            ):
                cut_off = tasks.create_task(live_until_cut_off(mine))
                await asyncio.sleep(0.5)
                door.shut_out(device_user(MINE))
                await cut_off
                assert not await is_let_in(door, device_user(MINE), password_in(mine))
                await say(other, OTHERS_READINGS, b"still here")
                assert await heard(ingest) == (OTHERS_READINGS, b"still here")

        go(journey)


@pytest.mark.stack
class TestMosquitto:
    @pytest.fixture
    def bare_door(self, tmp_path: Path) -> Iterator[Door]:
        """Return Mosquitto's door, which nobody keeps."""
        url = f"sqlite:///{tmp_path}/metering.db"
        migrate("metering", url=url)
        database = open_database(url)
        yield Door(port_of(stack.mqtt_url()), database)
        database.close()

    def test_knows_its_users_after_it_was_killed(self, bare_door: Door) -> None:
        address = bare_door.let_in(device_user(MINE))
        with keeper_of(bare_door):
            go(lambda: self.enter(address))
            stack.kill("mosquitto")
            stack.start("mosquitto")
            go(lambda: self.enter(address))

    def test_hears_of_what_changed_while_nobody_kept_its_door(self, bare_door: Door) -> None:
        address = bare_door.let_in(device_user(MINE))
        with keeper_of(bare_door):
            go(lambda: self.enter(address))
        bare_door.shut_out(device_user(MINE))
        others = bare_door.let_in(device_user(OTHERS))

        async def journey() -> None:
            async with asyncio.TaskGroup() as tasks:
                cut_off = tasks.create_task(live_until_cut_off(address))
                await asyncio.sleep(0.5)
                with keeper_of(bare_door):
                    await cut_off
                    await self.enter(others)

        go(journey)

    def test_gets_its_file_back_when_it_is_lost(self, bare_door: Door) -> None:
        address = bare_door.let_in(device_user(MINE))
        passwords = bare_door.keeper_settings.passwords
        with keeper_of(bare_door):
            go(lambda: self.enter(address))
            owner = passwords.stat().st_uid
            passwords.write_text("")
            wait_until(lambda: device_user(MINE) in passwords.read_text())
            assert passwords.stat().st_uid == owner

    async def enter(self, address: str) -> None:
        async with connected(address):
            pass
