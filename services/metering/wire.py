"""Messages as they arrive: topic and bytes become a signed object, or a refusal that keeps the evidence."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from hireling.rental.ceiling import SignedCeiling
from hireling.rental.hashing import keccak256
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import hash_struct, to_hex

Kind = Literal["readings", "ceilings"]
KINDS: tuple[Kind, ...] = ("readings", "ceilings")
LONGEST_EVIDENCE = 8_192
LONGEST_DETAIL = 500

_TOPIC = re.compile(r"hireling/(0x[0-9a-f]{64})/(readings|ceilings)")
_RENTAL_ID = re.compile(r"0x[0-9a-f]{64}")
_SEQ = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A message as the broker delivered it."""

    topic: str
    payload: bytes
    received_at: datetime

    @property
    def device(self) -> str | None:
        """Return the device whose topic it came on, if that is a device's topic."""
        match = _TOPIC.fullmatch(self.topic)
        return match[1] if match else None

    @property
    def kind(self) -> str | None:
        """Return what it should be by its topic."""
        match = _TOPIC.fullmatch(self.topic)
        return match[2] if match else None


@dataclass(frozen=True, kw_only=True)
class ReadingLetter:
    """A reading that parses; nothing about it is checked yet."""

    incoming: Incoming
    signed: SignedReading
    hash: str

    @property
    def rental_id(self) -> str:
        """Return the rental it names, 0x-hex."""
        return to_hex(self.signed.reading.rental_id)

    @property
    def seq(self) -> int:
        """Return its number."""
        return self.signed.reading.seq


@dataclass(frozen=True, kw_only=True)
class CeilingLetter:
    """A ceiling that parses; nothing about it is checked yet."""

    incoming: Incoming
    signed: SignedCeiling
    hash: str

    @property
    def rental_id(self) -> str:
        """Return the rental it names, 0x-hex."""
        return to_hex(self.signed.ceiling.rental_id)

    @property
    def seq(self) -> None:
        """Return None: ceilings have no number."""
        return


Letter = ReadingLetter | CeilingLetter


@dataclass(frozen=True, kw_only=True)
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

    @property
    def key(self) -> str:
        """Return what makes this the same refusal when it happens again."""
        return f"{self.rental_id or ''}:{'' if self.seq is None else self.seq}:{self.code}:{self.hash}"

    @property
    def notice(self) -> dict[str, Any]:
        """Return what the device is told."""
        seq = None if self.seq is None else str(self.seq)
        return {"rental_id": self.rental_id, "seq": seq, "code": self.code, "detail": self.detail}


def open_message(incoming: Incoming, *, largest: int) -> Letter | Refused:
    """Parse a message; `largest` is the number of bytes beyond which nobody looks."""
    if len(incoming.payload) > largest:
        return malformed(incoming, detail=f"{len(incoming.payload)} bytes, at most {largest}")
    try:
        if incoming.kind == "readings":
            reading = SignedReading.model_validate_json(incoming.payload)
            return ReadingLetter(incoming=incoming, signed=reading, hash=to_hex(hash_struct(reading.reading)))
        if incoming.kind == "ceilings":
            ceiling = SignedCeiling.model_validate_json(incoming.payload)
            return CeilingLetter(incoming=incoming, signed=ceiling, hash=to_hex(hash_struct(ceiling.ceiling)))
    except ValidationError as error:
        return malformed(incoming, detail=_first_problem(error))
    return malformed(incoming, detail="not a device's topic")


def refused(letter: Letter, *, code: str, detail: str, against: dict[str, Any] | None = None) -> Refused:
    """Refuse a message that parses."""
    return Refused(
        rental_id=letter.rental_id,
        device=letter.incoming.device,
        seq=letter.seq,
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


def _claimed(payload: bytes) -> tuple[str | None, int | None]:
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None, None
    inner = document.get("reading", document.get("ceiling")) if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        return None, None
    rental_id, seq = inner.get("rental_id"), inner.get("seq")
    return (
        rental_id if isinstance(rental_id, str) and _RENTAL_ID.fullmatch(rental_id) else None,
        int(seq) if isinstance(seq, str | int) and _SEQ.fullmatch(str(seq)) else None,
    )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(step) for step in problem["loc"])
    return f"{place}: {problem['msg']}" if place else problem["msg"]


def _evidence(payload: bytes) -> str:
    return _printable(payload[:LONGEST_EVIDENCE].decode(errors="replace"), LONGEST_EVIDENCE)


def _printable(text: str, longest: int) -> str:
    # PostgreSQL stores neither NUL nor lone surrogates, and both may come in JSON.
    return text[:longest].encode(errors="replace").decode().replace("\x00", "\ufffd")
