"""What the contracts said: their logs, decoded to names and plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.settlement.escrow.abi import ESCROW, REGISTRY, decoded_log, events
from services.settlement.escrow.deployment import Deployment
from services.settlement.escrow.node import RawLog

# Which argument says what an event is about; events without it are about no rental and no device.
SUBJECTS = {ESCROW: "rentalId", REGISTRY: "device"}
WORD = 32


@dataclass(frozen=True)
class ChainLog:
    """A contract's event. ``subject`` is the rental's or the device's id; integers are ints, bytes 0x-hex."""

    name: str
    subject: str
    block: int
    position: int
    tx_hash: str
    arguments: Mapping[str, Any]


def decode_logs(raw_logs: list[RawLog], deployment: Deployment) -> list[ChainLog]:
    """Return the logs that are about a rental or a device, in order."""
    contracts = {deployment.escrow: ESCROW, deployment.registry: REGISTRY}
    decoded = (_decode(log, contracts[log.contract]) for log in raw_logs if log.contract in contracts)
    return [log for log in decoded if log is not None]


def _decode(log: RawLog, contract: str) -> ChainLog | None:
    event = events(contract).get(log.topics[0]) if log.topics else None
    subject = SUBJECTS[contract]
    if event is None or subject not in event.names:
        return None
    arguments = {name: _plain(value) for name, value in decoded_log(event, log.topics, log.data).items()}
    return ChainLog(
        name=event.name,
        subject=_identity(arguments[subject]),
        block=log.block,
        position=log.position,
        tx_hash=f"0x{log.tx_hash.hex()}",
        arguments=arguments,
    )


def _plain(value: Any) -> Any:
    return f"0x{value.hex()}" if isinstance(value, bytes) else value


def _identity(value: Any) -> str:
    """Return a subject as 32 bytes of hex: a device is its token's number."""
    return f"0x{value.to_bytes(WORD).hex()}" if isinstance(value, int) else str(value)
