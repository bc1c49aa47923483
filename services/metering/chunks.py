"""Messages that are opened together: enough to be cheap, few enough that none waits long for the others."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.chassis.broker_line import BrokerLine
from services.chassis.mqtt_packets import Delivery
from services.metering.wire import Opened

# A few batches: opened in some milliseconds.
CHUNK_BYTES = 1 << 18


@dataclass
class Chunk:
    """Messages that are being opened, and the line that waits for their acknowledgement."""

    line: BrokerLine
    deliveries: Sequence[Delivery]
    opening: asyncio.Future[list[Opened]]


def in_chunks(deliveries: Sequence[Delivery], *, size: int) -> Iterator[Sequence[Delivery]]:
    """Cut messages into chunks of at most `size`, and not much more than CHUNK_BYTES."""
    start = length = 0
    for place, delivery in enumerate(deliveries):
        length += len(delivery.payload)
        if place + 1 - start == size or length > CHUNK_BYTES:
            yield deliveries[start : place + 1]
            start, length = place + 1, 0
    if start < len(deliveries):
        yield deliveries[start:]
