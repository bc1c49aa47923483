"""Opening in threads and in processes: the same answers, in order, whatever happens to a process."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from hireling.rental.batch import batch_wire
from hireling.rental.ceiling import first_ceiling, sign_ceiling
from services.metering import opening_process
from services.metering.opening import Opener, ProcessOpener, new_opener
from services.metering.settings import MeteringSettings
from services.metering.wire import Incoming, Opened, Refused, open_message
from tests.builders import DOMAIN, NOW, RENTER_AGENT_KEY, a_p256_key, a_reading_chain, signed_agreement
from tests.integration.metering import poisonable
from tests.integration.metering.books import resigned

DEVICE = "0x" + "ab" * 32
LOG = a_reading_chain(60)
SECONDS = 60.0


def a_message(payload: str | bytes, *, kind: str = "readings") -> Incoming:
    """Return a message on a device's topic."""
    content = payload.encode() if isinstance(payload, str) else payload
    return Incoming(topic=f"hireling/{DEVICE}/{kind}", payload=content, received_at=NOW)


def all_kinds() -> list[Incoming]:
    """Return messages of every kind, good and bad."""
    wires = [signed.model_dump_json() for signed in LOG]
    rental = signed_agreement()
    ceiling = sign_ceiling(
        RENTER_AGENT_KEY, DOMAIN, first_ceiling(rental.agreement, rental_id=rental.rental_id)
    )
    p256 = a_reading_chain(3, meter_key=a_p256_key("meter"))
    return [
        *map(a_message, wires),
        a_message(json.dumps(json.loads(wires[3]), indent=2)),
        a_message(batch_wire(wires), kind="batches"),
        a_message(batch_wire(wires[10:20]) + " ", kind="batches"),
        a_message(batch_wire([*wires[:3], *wires[5:7]]), kind="batches"),
        a_message(p256[2].model_dump_json()),
        a_message(resigned(LOG[4], counters=(0, 0)).model_dump_json()),
        a_message(LOG[5].model_copy(update={"signature": b"\x01" * 65}).model_dump_json()),
        a_message(ceiling.model_dump_json(), kind="ceilings"),
        a_message(b"\xff rubbish"),
        a_message(b"x" * 20_000),
    ]


def opened_one_by_one(messages: Sequence[Incoming]) -> list[Opened]:
    """Return what opening leads to, without an opener."""
    settings = MeteringSettings()
    return [
        open_message(one, largest=settings.largest_payload, slack_seconds=settings.slack_seconds)
        for one in messages
    ]


def with_opener(settings: MeteringSettings, journey: Callable[[Opener], Awaitable[None]]) -> None:
    """Go a journey with an opener."""

    async def run() -> None:
        async with aclosing(new_opener(settings)) as opener, asyncio.timeout(SECONDS):
            await journey(opener)

    asyncio.run(run())


class TestOpener:
    @pytest.mark.parametrize("processes", [0, 1, 2])
    def test_opens_everything_in_order(self, processes: int) -> None:
        messages = all_kinds()

        async def journey(opener: Opener) -> None:
            chunks = [messages[start : start + 7] for start in range(0, len(messages), 7)]
            opened = await asyncio.gather(*map(opener.open, chunks))
            assert [one for chunk in opened for one in chunk] == opened_one_by_one(messages)

        with_opener(MeteringSettings(verify_processes=processes), journey)


class TestProcesses:
    def test_killed_are_replaced_and_their_chunks_opened_all_the_same(self) -> None:
        messages = [a_message(signed.model_dump_json()) for signed in LOG] * 20

        async def journey(opener: Opener) -> None:
            assert isinstance(opener, ProcessOpener)
            await opener.open(messages[:1])
            opening = asyncio.ensure_future(opener.open(messages))
            await asyncio.sleep(0)
            killed = opener._all[0]._process
            assert killed is not None
            killed.kill()
            assert await opening == opened_one_by_one(messages)
            assert opener._all[0]._process is not killed

        with_opener(MeteringSettings(verify_processes=1), journey)

    def test_lose_none_but_the_message_that_kills(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening_process, "MODULE", poisonable.__name__)
        good = [a_message(signed.model_dump_json()) for signed in LOG[:3]]
        poison = a_message(poisonable.POISON)

        async def journey(opener: Opener) -> None:
            opened = await opener.open([*good, poison])
            assert opened[:3] == opened_one_by_one(good)
            assert isinstance(opened[3], Refused)
            assert (opened[3].code, opened[3].detail) == ("malformed", "cannot be opened")

        with_opener(MeteringSettings(verify_processes=1), journey)

    def test_leave_the_next_process_its_own_messages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(opening_process, "MODULE", poisonable.__name__)
        good = [a_message(signed.model_dump_json()) for signed in LOG[:3]]

        async def journey(opener: Opener) -> None:
            assert isinstance(opener, ProcessOpener)
            await opener.open(good)
            silenced = asyncio.ensure_future(opener.open([a_message(poisonable.SILENCER)]))
            while opener._all[0]._process is not None:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
            # The old one is still dying: its end must not be taken for the new one's.
            assert await opener.open(good) == opened_one_by_one(good)
            [refused] = await silenced
            assert isinstance(refused, Refused)

        with_opener(MeteringSettings(verify_processes=1), journey)

    def test_go_on_after_a_fault_of_ours_and_open_nothing_where_nothing_is_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(opening_process, "MODULE", poisonable.__name__)
        good = [a_message(signed.model_dump_json()) for signed in LOG[:3]]

        async def journey(opener: Opener) -> None:
            assert isinstance(opener, ProcessOpener)
            assert await opener.open([]) == []
            await opener.open(good)
            process = opener._all[0]._process
            refused, *opened = await opener.open([a_message(poisonable.FAULT), *good])
            assert isinstance(refused, Refused)
            assert refused.detail == "cannot be opened"
            assert opened == opened_one_by_one(good)
            assert opener._all[0]._process is process

        with_opener(MeteringSettings(verify_processes=1), journey)
