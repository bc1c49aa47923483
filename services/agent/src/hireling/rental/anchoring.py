"""Daily roots of readings on the chain, and how anyone proves that a reading is under one.

Two trees, both as OpenZeppelin's StandardMerkleTree builds them (`hireling.rental.merkle`). A device's tree
has one leaf for each of its readings of the day: the reading's hash. The day's tree has one leaf for each
device that had readings: `device_leaf`. The day's root alone is on the chain, announced to BatchAnchor under
`batch_of` the stream and the day: one transaction a day, however many devices there are (docs/adr/0009).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydantic import Field

from hireling.rental import merkle
from hireling.rental.errors import AnchorInvalid, Malformed
from hireling.rental.hashing import keccak256
from hireling.rental.reading import Reading, reading_hash
from hireling.rental.typed_data import Address, Bytes32, Document, Uint32, Uint64, Uint256

# What batchOf takes of stream and day. Source: contracts/src/interfaces/IBatchAnchor.sol
STREAM_BYTES, DAY_BYTES = 28, 4
READINGS = b"readings"
ROOT_ANNOUNCED = keccak256(b"RootAnnounced(address,bytes32,bytes32)")
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Announcement(Document):
    """Where a day's root is, or will be: whose word, in which contract, on which chain.

    ``transaction`` and ``block`` are None until it is confirmed there.
    """

    chain_id: Uint256
    contract: Address
    publisher: Address
    transaction: Bytes32 | None = None
    block: int | None = Field(default=None, ge=0)


class ReadingProof(Document):
    """What shows that a reading is among those a publisher announced for a day.

    ``day`` counts UTC days from 1970-01-01. ``device_readings`` is how many leaves the device's tree has.
    """

    rental_id: Bytes32
    seq: Uint64
    device: Bytes32
    day: Uint32
    reading: Bytes32
    reading_path: tuple[Bytes32, ...]
    device_root: Bytes32
    device_readings: Uint64
    device_path: tuple[Bytes32, ...]
    day_root: Bytes32
    batch: Bytes32
    announcement: Announcement


class DeviceDay(Document):
    """A device's root of one day, and the day's root that it is under."""

    device: Bytes32
    day: Uint32
    device_root: Bytes32
    device_readings: Uint64
    day_root: Bytes32
    batch: Bytes32
    announcement: Announcement


def day_of(moment: datetime) -> int:
    """Return the UTC day of an aware moment, counted from 1970-01-01."""
    return (moment - EPOCH) // DAY


def end_of(day: int) -> datetime:
    """Return the first moment after a day, in UTC."""
    return EPOCH + (day + 1) * DAY


def batch_of(stream: bytes, day: int) -> bytes:
    """Return the 32 bytes that name a stream's day on the chain. Raises Malformed."""
    if len(stream) > STREAM_BYTES or not 0 <= day < 1 << 8 * DAY_BYTES:
        raise Malformed("bad_batch", f"no batch has the stream {stream!r} and the day {day}")
    return stream.ljust(STREAM_BYTES, b"\0") + day.to_bytes(DAY_BYTES)


def device_leaf(device: bytes, root: bytes, readings: int) -> bytes:
    """Return a device's value in the day's tree: Keccak-256 of (bytes32, bytes32, uint256), ABI-encoded."""
    return keccak256(device + root + readings.to_bytes(32))


def device_root(hashes: Sequence[bytes]) -> bytes:
    """Return a device's root over its readings' hashes, in any order. Raises Malformed for none, or twins."""
    if len(set(hashes)) != len(hashes):
        raise Malformed("twin_leaves", "a reading counts once: two leaves are the same")
    return merkle.root(hashes)


def check_proof(proof: ReadingProof, reading: Reading) -> None:
    """Raise AnchorInvalid unless this very reading is under the proof's day root and batch.

    Whether that root is on the chain only the chain says.
    """
    if (reading.rental_id, reading.seq) != (proof.rental_id, proof.seq):
        detail = f"the proof is of reading {proof.seq}, not of reading {reading.seq} of its rental"
        raise AnchorInvalid("other_reading", detail)
    hashed = reading_hash(reading)
    if hashed != proof.reading:
        detail = f"reading {proof.seq} hashes to 0x{hashed.hex()}, the proof is of 0x{proof.reading.hex()}"
        raise AnchorInvalid("hash_mismatch", detail)
    if not merkle.verify(proof.device_root, proof.reading, proof.reading_path):
        root = proof.device_root.hex()
        raise AnchorInvalid("not_under_device_root", f"the path does not lead to the device's root 0x{root}")
    leaf = device_leaf(proof.device, proof.device_root, proof.device_readings)
    if not merkle.verify(proof.day_root, leaf, proof.device_path):
        root = proof.day_root.hex()
        raise AnchorInvalid("not_under_day_root", f"the path does not lead to the day's root 0x{root}")
    if proof.batch != batch_of(READINGS, proof.day):
        detail = f"batch 0x{proof.batch.hex()} is not that of the readings of day {proof.day}"
        raise AnchorInvalid("other_batch", detail)
