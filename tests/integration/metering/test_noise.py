"""A noisy device beside an honest one, and what ingest counts of both."""

import asyncio

from hireling.rental.reading import SignedReading
from services.metering.settings import MeteringSettings
from tests.builders import NOW, a_reading_chain
from tests.chain import free_port
from tests.integration.metering.device import Device, on_the_line
from tests.integration.metering.servers import running_module
from tests.integration.metering.stage import Stage, running_ingest
from tests.metrics import scrape

HONEST = a_reading_chain(40)
NOISY = "0x" + "ee" * 32
PER_SECOND, BURST = 20, 50
FLOOD = 1_500


async def flood(device: Device) -> None:
    """Publish as much rubbish as the broker takes, each piece another one."""
    for start in range(0, FLOOD, 10):
        pieces = (f"rubbish {number}".encode() for number in range(start, start + 10))
        await asyncio.gather(*(device.publish(piece) for piece in pieces))


class TestAFlood:
    def test_is_taken_at_its_rate_while_an_honest_device_is_served(self, stage: Stage) -> None:
        stage.books.agree()
        settings = MeteringSettings(
            readings_per_second=PER_SECOND, readings_burst=BURST, limited_told_seconds=1
        )

        async def run() -> None:
            async with (
                running_ingest(stage, settings),
                on_the_line(stage.lines(stage.books.device), stage.books.device) as honest,
                on_the_line(stage.lines(NOISY), NOISY) as noisy,
                asyncio.TaskGroup() as tasks,
            ):
                began = asyncio.get_running_loop().time()
                flooding = tasks.create_task(flood(noisy))
                await honest.deliver(HONEST)
                await flooding
                # Everything before it has been looked at once an honest reading after it is acknowledged.
                await honest.publish(HONEST[-1])
                await noisy.until(lambda: any(_limits(noisy)))
                elapsed = asyncio.get_running_loop().time() - began
                heard = [refusal["code"] for refusal in noisy.heard["refusals"]]
                assert heard.count("malformed") <= BURST + PER_SECOND * elapsed + 1 < FLOOD
                assert heard.count("rate_limited") <= elapsed + 2
                assert all(0 < int(refusal["wait_ms"]) <= 1_000 for refusal in _limits(noisy))
                assert not _limits(honest)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(40))

    def test_of_good_readings_counts_in_the_end(self, stage: Stage) -> None:
        stage.books.agree()
        settings = MeteringSettings(readings_per_second=40, readings_burst=17, limited_told_seconds=0)

        async def run() -> None:
            async with (
                running_ingest(stage, settings),
                on_the_line(stage.lines(stage.books.device), stage.books.device) as device,
            ):
                await device.deliver(HONEST)
                assert _limits(device)

        asyncio.run(run())
        assert stage.books.numbers() == list(range(40))
        assert stage.books.told() == [_wire(reading) for reading in HONEST]
        assert {row.code for row in stage.books.refusals()} >= {"rate_limited"}


class TestTheMetrics:
    def test_count_and_time_what_passed(self, stage: Stage) -> None:
        stage.books.agree(started=NOW.replace(year=2020))
        port = free_port()
        settings = {"METERING_INGEST_METRICS_PORT": str(port), **stage.environment()}

        async def run() -> None:
            async with on_the_line(stage.lines(stage.books.device), stage.books.device) as device:
                with running_module("services.metering.ingest", **settings):
                    await device.deliver(HONEST)
                    await device.publish(b"rubbish")
                    await device.until(
                        lambda: "malformed" in [refusal["code"] for refusal in device.heard["refusals"]]
                    )
                    seen = await asyncio.to_thread(scrape, port)
            assert seen("hireling_metering_readings_accepted_total") == 40
            assert seen("hireling_metering_messages_received_total") >= 41
            assert seen("hireling_metering_messages_refused_total", code="malformed") == 1
            assert seen("hireling_metering_acks_total") >= 1
            assert 1 <= seen("hireling_metering_lag_seconds_count") <= 40
            batches = seen("hireling_metering_batch_size_count")
            assert seen("hireling_metering_commit_seconds_count") >= batches >= 2
            assert seen("hireling_metering_batch_size_sum") >= 41
            assert seen("hireling_metering_open_seconds_sum") > 0
            assert seen("hireling_metering_connected") == 1
            assert seen("hireling_metering_in_hand") >= 0

        asyncio.run(run())


def _limits(device: Device) -> list[dict[str, str]]:
    return [refusal for refusal in device.heard["refusals"] if refusal["code"] == "rate_limited"]


def _wire(reading: SignedReading) -> dict[str, object]:
    return reading.model_dump(mode="json")
