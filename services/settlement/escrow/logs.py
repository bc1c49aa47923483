"""What the contracts said: their logs, decoded to names and plain values.

A batch's log is taken apart: what it says of a rental reads as if that had been claimed alone, and a row that
was skipped is a log of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.settlement.escrow.abi import ESCROW, REGISTRY, decoded_log, events
from services.settlement.escrow.deployment import Deployment
from services.settlement.escrow.node import RawLog
from services.settlement.escrow.packed import ClaimOutcome, LoggedRow, logged_rows, outcome_name

# Which argument says what an event is about; events without it are about no rental and no device.
SUBJECTS = {ESCROW: "rentalId", REGISTRY: "device"}
CLAIMED, CLAIMED_MANY, CLAIM_SKIPPED = "Claimed", "ClaimedMany", "ClaimSkipped"
WORD = 32


@dataclass(frozen=True)
class ChainLog:
    """A contract's event. ``subject`` is the rental's or the device's id; integers are ints, bytes 0x-hex.

    ``row`` tells apart what one log says of many rentals.
    """

    name: str
    subject: str
    block: int
    position: int
    tx_hash: str
    arguments: Mapping[str, Any]
    row: int = 0


def decode_logs(raw_logs: list[RawLog], deployment: Deployment) -> list[ChainLog]:
    """Return the logs that are about a rental or a device, in order."""
    contracts = {deployment.escrow: ESCROW, deployment.registry: REGISTRY}
    known = (log for log in raw_logs if log.contract in contracts)
    return [each for log in known for each in _decode(log, contracts[log.contract])]


def _decode(log: RawLog, contract: str) -> Iterator[ChainLog]:
    event = events(contract).get(log.topics[0]) if log.topics else None
    subject = SUBJECTS[contract]
    if event is not None and event.name == CLAIMED_MANY:
        rows: bytes = decoded_log(event, log.topics, log.data)["rows"]
        yield from (_of_row(log, number, row) for number, row in enumerate(logged_rows(rows)))
    if event is None or subject not in event.names:
        return
    arguments = {name: _plain(value) for name, value in decoded_log(event, log.topics, log.data).items()}
    yield ChainLog(
        name=event.name,
        subject=_identity(arguments[subject]),
        block=log.block,
        position=log.position,
        tx_hash=f"0x{log.tx_hash.hex()}",
        arguments=arguments,
    )


def _of_row(log: RawLog, number: int, row: LoggedRow) -> ChainLog:
    counts = row.outcome == ClaimOutcome.CLAIMED
    amounts: dict[str, Any] = {"paid": row.paid, "tail": row.tail} if counts else {}
    subject = f"0x{row.rental_id.hex()}"
    return ChainLog(
        name=CLAIMED if counts else CLAIM_SKIPPED,
        subject=subject,
        block=log.block,
        position=log.position,
        tx_hash=f"0x{log.tx_hash.hex()}",
        arguments={"rentalId": subject, "outcome": outcome_name(row.outcome), **amounts},
        row=number,
    )


def _plain(value: Any) -> Any:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _identity(value: Any) -> str:
    """Return a subject as 32 bytes of hex: a device is its token's number."""
    return f"0x{value.to_bytes(WORD).hex()}" if isinstance(value, int) else str(value)
