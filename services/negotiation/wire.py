"""Moves as they arrive over MQTT: a topic and bytes become a move of somebody, or a refusal of it. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from hireling.rental.broker_users import BARGAINERS, ROOT, bargainer_id
from hireling.rental.moves import LAST_OFFERS, LONGEST_REF, Move
from hireling.rental.offer import QuoteRequest
from hireling.rental.typed_data import to_hex
from hireling.rental.word import Word
from services.chassis.rows import json_text
from services.messages.errors import (
    CallerError,
    Conflict,
    Forbidden,
    HirelingError,
    Invalid,
    NotFound,
    OperatorError,
    Refused,
    invalid_of,
)
from services.messages.negotiation import QuoteView, Side

_TOPIC = re.compile(rf"{ROOT}/((?:{BARGAINERS}/)?(0x[0-9a-f]{{64}}))/moves")
# What every broker takes, with room for the rest of the message.
MOST_OFFER_BYTES = 96 * 1024
# Of a message with more mistakes than these the rest says nothing new.
MISTAKES_TOLD = 10
# As the REST interface calls them in the types of its problems.
KINDS: Mapping[type[HirelingError], str] = {
    NotFound: "not-found",
    Invalid: "invalid",
    Conflict: "conflict",
    Refused: "refused",
    Forbidden: "forbidden",
    CallerError: "bad-request",
    OperatorError: "internal",
}

# A MoveAnswer as it is published. Not made as one: a session's offers were checked when they were made.
Answer = dict[str, Any]


class _Referring(Word):
    """What has a ref, whatever else is wrong with it."""

    ref: str = Field(min_length=1, max_length=LONGEST_REF)


@dataclass(frozen=True, slots=True)
class Mover:
    """Whose topics a move came on, and so who made it: the broker lets nobody else publish there."""

    path: str
    id: str

    @property
    def side(self) -> Side:
        """Return the side it moves for."""
        return "renter" if self.path.startswith(BARGAINERS) else "owner"

    def has(self, request: QuoteRequest) -> bool:
        """Return whether the session of this question is the mover's."""
        if self.side == "owner":
            return to_hex(request.device) == self.id
        return bargainer_id(request.renter_agent) == self.id

    def topic(self, word: str) -> str:
        """Return one of the mover's topics."""
        return f"{ROOT}/{self.path}/{word}"


def movers_of(request: QuoteRequest) -> tuple[Mover, Mover]:
    """Return the two sides of the session of this question."""
    return movers_between(to_hex(request.device), request.renter_agent)


def movers_between(device: str, renter_agent: bytes) -> tuple[Mover, Mover]:
    """Return a device and who bargains with it by this key."""
    bargainer = bargainer_id(renter_agent)
    return Mover(device, device), Mover(f"{BARGAINERS}/{bargainer}", bargainer)


@dataclass(frozen=True, slots=True)
class Letter:
    """A move that parses; whether it may be made is not decided yet."""

    mover: Mover
    move: Move


def mover_on(topic: str) -> Mover | None:
    """Return whose moves this topic carries, if it carries any."""
    match = _TOPIC.fullmatch(topic)
    return Mover(match[1], match[2]) if match else None


def open_move(mover: Mover, payload: bytes, *, largest: int) -> Letter | Answer:
    """Return the move that a message carries, or what to answer to what is none."""
    if len(payload) > largest:
        detail = f"a move has {largest} bytes at most, this one has {len(payload)}"
        return refusal(None, Invalid("too_long", detail, largest=largest))
    try:
        return Letter(mover, Move.model_validate_json(payload))
    except ValidationError as error:
        mistakes = invalid_of(error, what="the move")
        mistakes.fields["errors"] = mistakes.fields["errors"][:MISTAKES_TOLD]
        return refusal(_ref_of(payload), mistakes)


def done(ref: str, view: QuoteView) -> Answer:
    """Return the answer to a move that was made, now or before."""
    return {"ref": ref, "outcome": "done", "session": written(view)}


def refusal(ref: str | None, error: HirelingError, *, wait_ms: int | None = None) -> Answer:
    """Return the answer to a move that a rule, or the platform's own fault, does not let happen.

    Raises ValueError for an error that is no answer: what is not known to be refused may be done yet.
    """
    kind = next((KINDS[each] for each in type(error).__mro__ if each in KINDS), None)
    if kind is None:
        raise ValueError(f"{type(error).__name__} is no answer to a move: {error}")
    if isinstance(error, OperatorError):
        error = OperatorError("internal", "The platform's operator has to look at this.")
    problem = {"kind": kind, "code": error.code, "detail": error.detail, "fields": error.fields}
    answer = {"ref": ref, "outcome": "refused", "problem": problem}
    return answer if wait_ms is None else answer | {"wait_ms": wait_ms}


def written(view: QuoteView) -> dict[str, Any]:
    """Return a session as it is told over MQTT, a SessionView: with as many of the last offers as fit."""
    told: dict[str, Any] = view.model_dump(mode="json")
    offers = told["offers"]
    kept = how_many_fit([json_text(offer) for offer in offers[-LAST_OFFERS:]])
    return told | {"made": len(offers), "offers": offers[len(offers) - kept :]}


def how_many_fit(offers: Sequence[str]) -> int:
    """Return how many of the last of these offers, as JSON, fit into a message."""
    kept, room = 0, MOST_OFFER_BYTES
    for offer in reversed(offers[-LAST_OFFERS:]):
        room -= len(offer)
        if room < 0:
            break
        kept += 1
    return kept


def _ref_of(payload: bytes) -> str | None:
    try:
        return _Referring.model_validate_json(payload).ref
    except ValidationError:
        return None
