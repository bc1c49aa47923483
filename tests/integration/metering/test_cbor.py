"""A device that sends CBOR, beside a renter that does, on a real broker and a real database."""

import asyncio

from hireling.rental.batch import ReadingBatch
from hireling.rental.ceiling import first_ceiling, sign_ceiling
from hireling.rental.encoding import to_cbor
from services.metering.settings import MeteringSettings
from tests.builders import DOMAIN, RENTER_AGENT_KEY, a_reading_chain
from tests.integration.metering.device import on_the_line
from tests.integration.metering.stage import Stage, running_ingest

CHAIN = a_reading_chain(40)


def test_is_stored_and_told_on_as_if_it_had_come_in_json(stage: Stage) -> None:
    stage.books.agree()
    first = first_ceiling(stage.books.signed.agreement, rental_id=stage.books.signed.rental_id)
    ceiling = sign_ceiling(RENTER_AGENT_KEY, DOMAIN, first)

    async def run() -> None:
        async with (
            running_ingest(stage, MeteringSettings()),
            on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
        ):
            await device.publish(to_cbor(ceiling), word="ceilings")
            for reading in CHAIN[:5]:
                await device.publish(to_cbor(reading))
            await device.send(CHAIN[5:10])
            await device.publish(to_cbor(ReadingBatch(readings=tuple(CHAIN[10:]))), word="batches")
            await device.until_acked(39)
            await device.publish(to_cbor(CHAIN[3])[:-1])
            await device.until(lambda: bool(device.heard["refusals"]))

    asyncio.run(run())
    assert stage.books.told() == [reading.model_dump(mode="json") for reading in CHAIN]
    assert stage.books.accepted() == stage.books.told()
    [event] = stage.books.events("ceiling_accepted")
    assert event["ceiling"] == ceiling.model_dump(mode="json")
    [refusal] = stage.books.refusals()
    assert refusal.code == "malformed"
    assert refusal.evidence == f"0x{to_cbor(CHAIN[3])[:-1].hex()}"
