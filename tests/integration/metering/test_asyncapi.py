"""The AsyncAPI document's examples, sent to a real ingest; what it answers conforms to the document."""

import asyncio
import json
from datetime import UTC, datetime

from hireling.rental.typed_data import to_hex
from services.gateway import asyncapi
from services.metering.models import Rental
from services.metering.settings import MeteringSettings
from services.metering.store import Store
from tests.asyncapi import CBOR, conforms, messages
from tests.builders import NOW
from tests.integration.metering.device import on_the_line
from tests.integration.metering.stage import Stage, running_ingest

DEVICE = to_hex(asyncapi.DEVICE)
RENTAL_ID = to_hex(asyncapi.RENTAL_ID)


def rental() -> Rental:
    """Return the rental of the examples."""
    return Rental(
        rental_id=RENTAL_ID,
        device=DEVICE,
        meter=to_hex(asyncapi.METER.identity),
        renter_agent=to_hex(asyncapi.SESSION.identity),
        chain_id=asyncapi.DOMAIN.chain_id,
        escrow=to_hex(asyncapi.DOMAIN.escrow),
        counter_caps=[2_000_000],
        start_at=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()),
        end_by=int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()),
        max_total="10000000",
        agreed_at=NOW,
        oldest_at=NOW,
        newest_at=NOW,
    )


def sent_to_the_platform() -> list[tuple[str, bytes]]:
    """Return the examples that ingest takes, in either encoding: each topic, and the bytes."""
    return [
        (message.word, bytes.fromhex(message.example))
        if message.content_type == CBOR
        else (message.word, json.dumps(message.example).encode())
        for message in messages()
        if message.word in ("readings", "batches", "ceilings")
    ]


def test_the_examples_count_and_what_is_answered_conforms(stage: Stage) -> None:
    with stage.books.database.unit_of_work() as session:
        Store(session).add_rental(rental())
    sent = sent_to_the_platform()
    assert len(sent) == 6

    async def run() -> None:
        async with (
            running_ingest(stage, MeteringSettings()),
            on_the_line(stage.lines(DEVICE), DEVICE) as device,
        ):
            for word, payload in sent:
                await device.publish(payload, word=word)
            await device.until_acked(3)
            await device.publish(b"{}")
            await device.until(lambda: bool(device.heard["refusals"]))
            for word in ("acks", "refusals"):
                for heard in device.heard[word]:
                    conforms(word, heard)
            assert [refusal["code"] for refusal in device.heard["refusals"]] == ["malformed"]

    asyncio.run(run())
    with stage.books.database.snapshot() as session:
        store = Store(session)
        assert [int(wire["reading"]["seq"]) for wire in store.readings(RENTAL_ID, after=-1, limit=10)] == [
            0,
            1,
            2,
            3,
        ]
        assert len(store.ceilings(RENTAL_ID)) == 1
