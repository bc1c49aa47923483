"""Messages as they arrive: topic and bytes become a signed object, or a refusal that keeps the evidence."""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from pydantic import ValidationError

from hireling.rental.batch import ReadingBatch, batch_body, batch_wire, run_of_batch
from hireling.rental.canonical_reading import run_in_batch, run_in_reading
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.chain_rules import Measured
from hireling.rental.encoding import from_cbor, is_cbor, parse
from hireling.rental.errors import Malformed, ReadingRefused
from hireling.rental.hashing import keccak256
from hireling.rental.reading import ReadingRun, SignedReading, measured, run_of_one
from hireling.rental.typed_data import Domain, hash_struct, to_hex
from services.metering.gist import Gist, gist_of
from services.metering.runs import HASH_BYTES

Kind = Literal["readings", "batches", "ceilings"]
KINDS: tuple[Kind, ...] = ("readings", "batches", "ceilings")
# A batch is larger than a reading, but a reading in it is not.
READINGS_WORTH = 6
LONGEST_EVIDENCE = 8_192
BATCH_BEGINS = batch_wire([]).removesuffix("]}")
LONGEST_DETAIL = 500

_TOPIC = re.compile(r"hireling/(0x[0-9a-f]{64})/(readings|batches|ceilings)")
_RENTAL_ID = re.compile(r"0x[0-9a-f]{64}")
_SEQ = re.compile(r"0|[1-9][0-9]{0,19}")


@lru_cache(maxsize=10_000)
def _named(topic: str) -> tuple[str | None, str | None]:
    """Return the device and the kind that a topic names."""
    match = _TOPIC.fullmatch(topic)
    return (match[1], match[2]) if match else (None, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """A message as the broker delivered it."""

    topic: str
    payload: bytes
    received_at: datetime

    @property
    def device(self) -> str | None:
        """Return the device whose topic it came on, if that is a device's topic."""
        return _named(self.topic)[0]

    @property
    def kind(self) -> str | None:
        """Return what it should be by its topic."""
        return _named(self.topic)[1]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingLetter:
    """Readings that parse, and who signed them; whether they may count is not decided yet."""

    incoming: Incoming
    domain: Domain
    rental_id: str
    """The rental they name, 0x-hex."""
    signer: bytes | None
    fault: str
    """Why nobody signed them, where nobody did."""
    gist: Gist
    document: str
    """What travelled, written our way."""

    @property
    def first(self) -> int:
        """Return the number of the first one."""
        return self.gist.first.seq

    @property
    def seq(self) -> int:
        """Return the number of the last one, by which the letter is known."""
        return self.gist.head.seq

    @property
    def count(self) -> int:
        """Return how many there are."""
        return len(self.gist.hashes) // HASH_BYTES

    @property
    def hash(self) -> str:
        """Return the hash of the last one, 0x-hex."""
        return to_hex(self.gist.hashes[-HASH_BYTES:])

    @property
    def body(self) -> str:
        """Return the readings as they stand in a batch."""
        return self.document if self.is_single else batch_body(self.document)

    @property
    def is_single(self) -> bool:
        """Return whether it came as one reading, not as a batch."""
        return not self.document.startswith(BATCH_BEGINS)

    @property
    def received_at(self) -> datetime:
        """Return when it came."""
        return self.incoming.received_at

    def hash_at(self, place: int) -> bytes:
        """Return the hash of one of them, counted from 0."""
        return self.gist.hashes[HASH_BYTES * place : HASH_BYTES * (place + 1)]

    def readings(self) -> tuple[Measured, ...]:
        """Return all of them, read once more."""
        if self.is_single:
            return (self.gist.first,)
        batch = ReadingBatch.model_validate_json(self.document)
        return tuple(measured(signed.reading) for signed in batch.readings)


@dataclass(frozen=True, kw_only=True, slots=True)
class CeilingLetter:
    """A ceiling that parses; nothing about it is checked yet."""

    incoming: Incoming
    signed: SignedCeiling
    rental_id: str
    """The rental it names, 0x-hex."""
    hash: str

    @property
    def seq(self) -> None:
        """Return None: ceilings have no number."""
        return

    @property
    def received_at(self) -> datetime:
        """Return when it came."""
        return self.incoming.received_at


Letter = ReadingLetter | CeilingLetter


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """What does not count and why, with the evidence."""

    rental_id: str | None
    device: str | None
    seq: int | None
    code: str
    detail: str
    hash: str
    evidence: str
    at: datetime
    against: dict[str, Any] | None = None
    wait_ms: int | None = None
    """How long the device does well to wait before it sends again."""

    @property
    def key(self) -> str:
        """Return what makes this the same refusal when it happens again."""
        return f"{self.rental_id or ''}:{'' if self.seq is None else self.seq}:{self.code}:{self.hash}"

    @property
    def notice(self) -> dict[str, Any]:
        """Return what the device is told."""
        seq = None if self.seq is None else str(self.seq)
        said = {"rental_id": self.rental_id, "seq": seq, "code": self.code, "detail": self.detail}
        return said if self.wait_ms is None else {**said, "wait_ms": str(self.wait_ms)}


Opened = Letter | Refused


def open_message(incoming: Incoming, *, largest: int, slack_seconds: float) -> Opened:
    """Parse a message and find out who signed it; beyond `largest` bytes nobody looks."""
    kind = incoming.kind
    most = largest * READINGS_WORTH if kind == "batches" else largest
    if len(incoming.payload) > most:
        return malformed(incoming, detail=f"{len(incoming.payload)} bytes, at most {most}")
    try:
        if kind in ("readings", "batches"):
            return _reading_letter(incoming, kind, slack_seconds=slack_seconds)
        if kind == "ceilings":
            return _ceiling_letter(incoming, parse(SignedCeiling, incoming.payload))
    except ValidationError as error:
        return malformed(incoming, detail=_first_problem(error))
    except Malformed as error:
        return malformed(incoming, detail=error.detail)
    return malformed(incoming, detail="not a device's topic")


def _reading_letter(incoming: Incoming, kind: str, *, slack_seconds: float) -> Opened:
    text = incoming.payload.decode(errors="replace")
    run = run_in_reading(text) if kind == "readings" else run_in_batch(text)
    if run is not None:
        return letter_of_run(incoming, run, document=text, slack_seconds=slack_seconds)
    if kind == "readings":
        signed = parse(SignedReading, incoming.payload)
        return letter_of_run(
            incoming, run_of_one(signed), document=signed.model_dump_json(), slack_seconds=slack_seconds
        )
    batch = parse(ReadingBatch, incoming.payload)
    try:
        run = run_of_batch(batch)
    except ReadingRefused as error:
        # Nothing is proven of it: it is kept as it came, under what it claims to be.
        head = batch.readings[-1].reading
        one = malformed(incoming, detail=error.detail)
        return replace(one, code=error.code, rental_id=to_hex(head.rental_id), seq=head.seq)
    return letter_of_run(incoming, run, document=batch.model_dump_json(), slack_seconds=slack_seconds)


def letter_of_run(
    incoming: Incoming, run: ReadingRun, *, document: str, slack_seconds: float
) -> ReadingLetter:
    """Return the letter that brought these readings."""
    return ReadingLetter(
        incoming=incoming,
        domain=run.domain,
        rental_id=to_hex(run.rental_id),
        signer=run.signer,
        fault=run.fault,
        gist=gist_of(run.readings, run.hashes, received_at=incoming.received_at, slack_seconds=slack_seconds),
        document=document,
    )


def _ceiling_letter(incoming: Incoming, signed: SignedCeiling) -> CeilingLetter:
    return CeilingLetter(
        incoming=incoming,
        signed=signed,
        rental_id=to_hex(signed.ceiling.rental_id),
        hash=to_hex(hash_struct(signed.ceiling)),
    )


def refused(
    letter: Letter,
    *,
    code: str,
    detail: str,
    against: dict[str, Any] | None = None,
    seq: int | None = None,
) -> Refused:
    """Refuse a message that parses; `seq` is the number at fault, where it is not the letter's own."""
    return Refused(
        rental_id=letter.rental_id,
        device=letter.incoming.device,
        seq=letter.seq if seq is None else seq,
        code=code,
        detail=_printable(detail, LONGEST_DETAIL),
        hash=letter.hash,
        evidence=_evidence(letter.incoming.payload),
        at=letter.incoming.received_at,
        against=against,
    )


def malformed(incoming: Incoming, *, detail: str) -> Refused:
    """Refuse a message that does not parse, under the rental and number that it claims, if it claims any."""
    rental_id, seq = _claimed(incoming.payload[:LONGEST_EVIDENCE])
    return Refused(
        rental_id=rental_id,
        device=incoming.device,
        seq=seq,
        code="malformed",
        detail=_printable(detail, LONGEST_DETAIL),
        hash=to_hex(keccak256(incoming.payload)),
        evidence=_evidence(incoming.payload),
        at=incoming.received_at,
    )


def rate_limited(incoming: Incoming, *, wait_ms: int) -> Refused:
    """Refuse a message unread, because its device sends too many; a ceiling's sender is not the device."""
    # The same refusal all day: a flood shall not take the room of what is refused for other reasons.
    that_day = f"{incoming.topic} {incoming.received_at:%Y-%m-%d}"
    return Refused(
        rental_id=None,
        device=None if incoming.kind == "ceilings" else incoming.device,
        seq=None,
        code="rate_limited",
        detail=f"too many messages: nothing is taken for {wait_ms} ms; what is not acknowledged, send again",
        hash=to_hex(keccak256(that_day.encode())),
        evidence=_evidence(incoming.payload),
        at=incoming.received_at,
        wait_ms=wait_ms,
    )


def _claimed(payload: bytes) -> tuple[str | None, int | None]:
    try:
        document = from_cbor(payload) if is_cbor(payload) else json.loads(payload)
    except (ValueError, RecursionError, Malformed):
        return None, None
    if isinstance(document, dict) and isinstance(document.get("readings"), list) and document["readings"]:
        document = document["readings"][-1]
    inner = document.get("reading", document.get("ceiling")) if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        return None, None
    rental_id, seq = inner.get("rental_id"), inner.get("seq")
    if isinstance(rental_id, bytes):
        rental_id = to_hex(rental_id)
    return (
        rental_id if isinstance(rental_id, str) and _RENTAL_ID.fullmatch(rental_id) else None,
        int(seq) if isinstance(seq, str | int) and _SEQ.fullmatch(str(seq)) else None,
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]


def _evidence(payload: bytes) -> str:
    if is_cbor(payload):
        return to_hex(payload[: (LONGEST_EVIDENCE - 2) // 2])
    return _printable(payload[:LONGEST_EVIDENCE].decode(errors="replace"), LONGEST_EVIDENCE)


def _printable(text: str, longest: int) -> str:
    # PostgreSQL stores neither NUL nor lone surrogates, and both may come in JSON.
    return text[:longest].encode(errors="replace").decode().replace("\x00", "\ufffd")
