"""Bargaining over MQTT: on the embedded broker and SQLite, and on Mosquitto and PostgreSQL."""

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from aiomqtt import Client, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from sqlalchemy import select

from hireling.rental.broker_users import INGEST
from hireling.rental.offer import SignedOffer
from services.chassis.database import open_database
from services.chassis.migrations import migrate
from services.chassis.tables import OUTBOX
from services.negotiation.playing import Player
from services.negotiation.wire import Letter, Mover, open_move
from tests import stack
from tests.asyncapi import conforms
from tests.builders import NOW
from tests.chain import free_port
from tests.integration.metering.lines import PASSWORD, named, port_of
from tests.integration.metering.servers import running_broker, running_module
from tests.integration.negotiation.table import (
    WITHIN_SECONDS,
    Json,
    Sides,
    Table,
    at_the_table,
    running_ingest,
    signature,
)


@pytest.fixture(scope="module", params=["embedded", pytest.param("stack", marks=pytest.mark.stack)])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """Set the table, for all tests here: embedded servers, or the stack's."""
    tmp_path = tmp_path_factory.mktemp("table")
    with ExitStack() as cleanup:
        urls = {name: f"sqlite:///{tmp_path}/{name}.db" for name in ("negotiation", "metering")}
        if request.param == "stack":
            mqtt_url = os.environ["STACK_MQTT_URL"]
            urls["negotiation"] = cleanup.enter_context(stack.fresh_database("negotiation"))
        else:
            port = free_port()
            cleanup.enter_context(running_broker(port, urls["metering"]))
            mqtt_url = named(port, INGEST, PASSWORD)
        for name, url in urls.items():
            migrate(name, url=url)
        databases = {name: open_database(url) for name, url in urls.items()}
        for database in databases.values():
            cleanup.callback(database.close)
        yield Table(mqtt_url, databases["negotiation"], urls["negotiation"], databases["metering"])


def go(journey: Callable[[], Awaitable[None]]) -> None:
    """Run a journey in its time."""

    async def in_time() -> None:
        async with asyncio.timeout(2 * WITHIN_SECONDS):
            await journey()

    asyncio.run(in_time())


def events_of(table: Table, quote_id: str) -> list[str]:
    """Return what negotiation says of a session, in order."""
    with table.database.snapshot() as session:
        rows = session.execute(select(OUTBOX.c.type, OUTBOX.c.payload).order_by(OUTBOX.c.id)).all()
    return [kind for kind, payload in rows if payload["quote_id"] == quote_id]


def last_offer(told: Json) -> Any:
    """Return the last offer of a session as it was told."""
    return SignedOffer.model_validate_json(json.dumps(told["offers"][-1])).offer


def countered(sides: Sides, told: Json) -> Json:
    """Return the renter's answer to the last offer."""
    return {"offer": sides.renter.counter_offer(last_offer(told)).model_dump(mode="json")}


class TestTwoAgents:
    def test_come_to_a_signed_agreement(self, table: Table) -> None:
        sides = table.sit_down()

        async def journey() -> None:
            async with (
                at_the_table(table, sides, "owner") as owner,
                at_the_table(table, sides, "renter") as renter,
                running_ingest(table),
            ):
                asked = await owner.until_told(turn="owner", made=0)
                assert asked["request"] == sides.quote.request.model_dump(mode="json")
                offered = await owner.move(**sides.first_offer)
                assert (offered["outcome"], offered["session"]["turn"]) == ("done", "renter")
                told = await renter.until_told(turn="renter", made=1)
                await renter.move(**countered(sides, told))
                told = await owner.until_told(turn="owner", made=2)
                await owner.move(**signature(sides, "owner", last_offer(told)))
                told = await renter.until_told(signed_by=["owner"])
                agreed = await renter.move(**signature(sides, "renter", last_offer(told)))
                assert agreed["session"]["status"] == "agreed"
                told = await owner.until_told(status="agreed")
                assert told["rental_id"] == agreed["session"]["rental_id"]
                for agent, prefix in ((owner, ""), (renter, "bargainers/{bargainer}/")):
                    for word, messages in agent.heard.items():
                        for message in messages:
                            conforms(prefix + word, message)

        go(journey)
        moves = ["quote_requested", "offer_made", "offer_made", "agreement_signed", "agreed"]
        assert events_of(table, sides.quote_id) == moves

    def test_hear_of_moves_that_came_another_way(self, table: Table) -> None:
        sides = table.sit_down()
        device = sides.device.device
        letter = open_move(
            Mover(device, device),
            json.dumps({"ref": "1", "quote_id": sides.quote_id, **sides.first_offer}).encode(),
            largest=16_384,
        )
        assert isinstance(letter, Letter)

        async def journey() -> None:
            async with running_ingest(table), at_the_table(table, sides, "renter") as renter:
                await asyncio.to_thread(
                    Player(table.database, hold=timedelta(seconds=60)).play, [letter], now=NOW
                )
                await renter.until_told(turn="renter", made=1)

        go(journey)

    def test_may_ask_how_things_stand(self, table: Table) -> None:
        sides = table.sit_down()

        async def journey() -> None:
            async with running_ingest(table), at_the_table(table, sides, "renter") as renter:
                answer = await renter.move()
                assert (answer["outcome"], answer["session"]["turn"]) == ("done", "owner")

        go(journey)
        assert events_of(table, sides.quote_id) == ["quote_requested"]


class TestAMove:
    def test_counts_once_however_often_it_comes(self, table: Table) -> None:
        sides = table.sit_down()

        async def journey() -> None:
            async with running_ingest(table), at_the_table(table, sides, "owner") as owner:
                move = sides.first_offer
                answers = [await owner.move(**move) for _ in range(3)]
                assert [answer["outcome"] for answer in answers] == ["done"] * 3
                assert answers[0]["session"] == answers[2]["session"]
                message = json.dumps({"ref": "flood", "quote_id": sides.quote_id, **move})
                async with asyncio.TaskGroup() as tasks:
                    for _ in range(8):
                        tasks.create_task(owner.say(message))
                await owner.until(lambda: len(owner.answers("flood")) == 8)
                assert {answer["outcome"] for answer in owner.answers("flood")} == {"done"}

        go(journey)
        assert events_of(table, sides.quote_id) == ["quote_requested", "offer_made"]

    def test_out_of_turn_is_refused_as_over_http(self, table: Table) -> None:
        sides = table.sit_down()

        async def journey() -> None:
            async with (
                running_ingest(table),
                at_the_table(table, sides, "owner") as owner,
                at_the_table(table, sides, "renter") as renter,
            ):
                first = await owner.move(**sides.first_offer)
                await renter.move(**countered(sides, first["session"]))
                dearer = sides.renter.counter_offer(last_offer(first["session"]), percent=80)
                answer = await renter.move(offer=dearer.model_dump(mode="json"))
                problem = answer["problem"]
                assert (answer["outcome"], problem["kind"], problem["code"]) == (
                    "refused",
                    "conflict",
                    "not_your_turn",
                )
                assert problem["fields"] == {"expected_round": 2, "turn": "owner"}

        go(journey)

    def test_in_another_s_session_is_refused(self, table: Table) -> None:
        mine, others = table.sit_down(), table.sit_down()

        async def journey() -> None:
            async with (
                running_ingest(table),
                at_the_table(table, mine, "owner") as owner,
                at_the_table(table, mine, "renter") as renter,
            ):
                for agent in (owner, renter):
                    answer = await agent.move(quote_id=others.quote_id, **others.first_offer)
                    assert (answer["problem"]["kind"], answer["problem"]["code"]) == (
                        "forbidden",
                        "other_session",
                    )
                    assert "session" not in answer

        go(journey)
        assert events_of(table, others.quote_id) == ["quote_requested"]

    def test_of_the_other_side_is_refused(self, table: Table) -> None:
        sides = table.sit_down()

        async def journey() -> None:
            async with running_ingest(table), at_the_table(table, sides, "renter") as renter:
                answer = await renter.move(**sides.first_offer)
                assert answer["problem"]["code"] == "other_side"

        go(journey)

    def test_that_is_none_is_refused_and_stops_nothing(self, table: Table) -> None:
        sides = table.sit_down()
        offer = sides.first_offer["offer"]
        signed = {"offer": "0x" + "00" * 32, "signature": "0x00"}
        bad: list[tuple[Json, str]] = [
            ({"quote_id": "not one"}, "invalid"),
            ({"quote_id": "ab" * 16}, "quote_not_found"),
            ({"offer": {}}, "invalid"),
            ({"offer": offer, "signature": signed}, "invalid"),
            ({"offer": {**offer, "signature": "0x" + "00" * 65}}, "signature_malformed"),
            ({"signature": signed}, "not_the_last_offer"),
        ]

        async def journey() -> None:
            async with running_ingest(table), at_the_table(table, sides, "owner") as owner:
                for nonsense in (b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"ref":1}', b"x" * 20_000):
                    await owner.say(nonsense)
                await owner.until(lambda: len(owner.answers(None)) == 7)
                codes = [answer["problem"]["code"] for answer in owner.answers(None)]
                assert codes == ["invalid"] * 6 + ["too_long"]
                for move, code in bad:
                    answer = await owner.move(**move)
                    assert (answer["outcome"], answer["problem"]["code"]) == ("refused", code)
                assert (await owner.move(**sides.first_offer))["outcome"] == "done"

        go(journey)


class TestIngest:
    def test_keeps_one_agent_s_noise_from_the_others(self, table: Table) -> None:
        noisy, honest = table.sit_down(), table.sit_down()

        async def journey() -> None:
            async with (
                running_ingest(table, moves_per_second=0.001, moves_burst=10),
                at_the_table(table, noisy, "owner") as loud,
                at_the_table(table, honest, "owner") as quiet,
            ):
                for number in range(40):
                    await loud.say(json.dumps({"ref": str(number), "quote_id": noisy.quote_id}))
                assert (await quiet.move(**honest.first_offer))["outcome"] == "done"
                await loud.until(lambda: loud.answers(None))
                done = [answer for answer in loud.heard["answers"] if answer["outcome"] == "done"]
                assert len(done) == 10
                (limited, *_) = loud.answers(None)
                assert limited["problem"]["code"] == "rate_limited"
                assert limited["wait_ms"] > 0

        go(journey)

    def test_once_it_is_back_answers_what_is_sent_again_and_not_what_came_meanwhile(
        self, table: Table
    ) -> None:
        sides = table.sit_down()
        environment = {**table.environment(), "HIRELING_LOG_LEVEL": "WARNING"}

        async def journey() -> None:
            async with at_the_table(table, sides, "owner") as owner:
                with running_module("services.negotiation.ingest", **environment):
                    # By the system's clock the session is years ahead, and so is open.
                    answer = await owner.move()
                    assert answer["session"]["turn"] == "owner"
                await owner.say(json.dumps({"ref": "said once", "quote_id": sides.quote_id}))
                moving = asyncio.create_task(owner.move(ref="sent again"))
                await asyncio.sleep(0.2)
                assert not moving.done()
                with running_module("services.negotiation.ingest", **environment):
                    assert (await moving)["outcome"] == "done"
                # Answers come in the order of the moves, so this one would have been here first.
                assert not owner.answers("said once")

        go(journey)


# SQLite's lock is what keeps the transaction from committing.
@pytest.mark.parametrize("table", ["embedded"], indirect=True)
def test_acknowledges_and_answers_nothing_before_it_is_durable(table: Table) -> None:
    sides = table.sit_down()

    async def journey() -> None:
        async with running_ingest(table) as ingest, at_the_table(table, sides, "owner") as owner:
            holder = sqlite3.connect(table.database_url.removeprefix("sqlite:///"), isolation_level=None)
            holder.execute("BEGIN IMMEDIATE")
            moving = asyncio.create_task(owner.move(ref="held", **sides.first_offer))
            async with asyncio.timeout(WITHIN_SECONDS):
                while ingest.health()["in_hand"] == 0:  # noqa: ASYNC110 - a message on its way
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert ingest.health()["in_hand"] > 0
            assert not owner.heard["answers"]
            holder.execute("ROLLBACK")
            holder.close()
            assert (await moving)["outcome"] == "done"

    go(journey)
    assert events_of(table, sides.quote_id) == ["quote_requested", "offer_made"]


@pytest.mark.stack
@pytest.mark.parametrize("table", ["stack"], indirect=True)
def test_correlation_data_of_mqtt_5_comes_back_with_the_answer(table: Table) -> None:
    sides = table.sit_down()
    path = sides.owner_path

    async def journey() -> None:
        address = stack.mqtt_url()
        names = address.removeprefix("mqtt://").rpartition("@")[0].partition(":")
        async with (
            running_ingest(table),
            Client(
                "127.0.0.1",
                port_of(address),
                username=names[0],
                password=names[2],
                protocol=ProtocolVersion.V5,
            ) as client,
        ):
            await client.subscribe(f"hireling/{path}/answers", qos=1)
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            # Where an answer goes is not the mover's to say.
            elsewhere = f"hireling/{sides.renter_path}/answers"
            for name, value in (("CorrelationData", b"\x00mine"), ("ResponseTopic", elsewhere)):
                setattr(properties, name, value)
            move = json.dumps({"ref": "5", "quote_id": sides.quote_id})
            await client.publish(f"hireling/{path}/moves", move, qos=1, properties=properties)
            answer = await anext(client.messages)
            assert json.loads(bytes(answer.payload))["ref"] == "5"
            found: Any = answer.properties
            assert found.CorrelationData == b"\x00mine"

    go(journey)
