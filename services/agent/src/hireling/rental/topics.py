"""What travels over MQTT: which words on which topics, from whom to whom.

A device's topics are ``hireling/<device>/<word>``, its id as 0x-hex in lower case; a renter's agent that
bargains has ``hireling/bargainers/<id>/<word>``, the id made of its key as a device's is of its meter. QoS 1,
never retained.
What is signed is believed by its signature; everything else is a hint, and a lost one only delays.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, Field

from hireling.rental.batch import ReadingBatch
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import UnlockAction
from hireling.rental.moves import Move, MoveAnswer, SessionView
from hireling.rental.reading import SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import Bytes32, HexBytes, Uint64
from hireling.rental.word import Word

Party = Literal["device", "platform", "renter", "bargainer"]
Whose = Literal["device", "bargainer"]


class Ack(Word):
    """The platform holds everything up to ``seq`` durably, without a gap: the device may forget it."""

    rental_id: Bytes32
    seq: Uint64


class Refusal(Word):
    """The platform does not count a message, and why; with ``wait_ms`` it took nothing and says how long.

    ``rental_id`` and ``seq`` are null where the message names none. A ``gap`` only waits for what is missing.
    """

    rental_id: Bytes32 | None
    seq: Uint64 | None
    code: str
    detail: str = ""
    wait_ms: Uint64 | None = None


class Notice(Word):
    """Something changed: the device asks ``GET /v1/devices/{device}/work`` what."""

    type: Literal[
        "quote_requested",
        "offer_made",
        "agreement_signed",
        "agreed",
        "rental_changed",
        "flagged",
        "bill_ready",
    ]
    quote_id: str | None = None
    rental_id: Bytes32 | None = None
    state: State | None = None
    seq: Uint64 | None = Field(default=None, description="of the reading that looks wrong")
    code: str | None = None
    reason: str | None = None


class Ask(Word):
    """The renter's wish: 1 to unlock, 2 to stop."""

    rental_id: Bytes32
    action: UnlockAction


class Challenge(Ask):
    """The device's question."""

    nonce: Bytes32


class Answer(Challenge):
    """The renter's proof: its session key's signature over Unlock, with the device's nonce."""

    signature: HexBytes


@dataclass(frozen=True)
class Topic:
    """A word of a device's or a bargainer's topics: what it carries, who sends it and who listens."""

    word: str
    carries: type[BaseModel]
    sender: Party
    listeners: tuple[Party, ...]
    about: str
    carried_by: tuple[Party, ...] = ()
    """Who publishes it too, for its sender."""
    in_cbor: bool = False
    """Whether it may travel in CBOR as well."""
    whose: Whose = "device"
    """Among whose topics it is."""


def _bargaining_of(whose: Whose) -> tuple[Topic, ...]:
    return (
        Topic("moves", Move, whose, ("platform",), "A move in one of its sessions.", whose=whose),
        Topic(
            "answers",
            MoveAnswer,
            "platform",
            (whose,),
            "What became of a move, with the correlation data that came with it; to here always.",
            whose=whose,
        ),
        Topic(
            "sessions",
            SessionView,
            "platform",
            (whose,),
            "A session of its own after each question, offer and signature, by either side; perhaps twice.",
            whose=whose,
        ),
    )


TOPICS = (
    Topic(
        "readings",
        SignedReading,
        "device",
        ("platform", "renter"),
        "A signed reading, sent again until an acknowledgement covers its number.",
        in_cbor=True,
    ),
    Topic(
        "batches",
        ReadingBatch,
        "device",
        ("platform",),
        "A backlog: 1 to 100 readings of one rental that follow each other. It counts whole or not at all.",
        in_cbor=True,
    ),
    Topic(
        "ceilings",
        SignedCeiling,
        "renter",
        ("device", "platform"),
        "What the renter's session key lets the owner claim. The platform carries down what came by HTTP.",
        carried_by=("platform",),
        in_cbor=True,
    ),
    Topic(
        "acks",
        Ack,
        "platform",
        ("device",),
        "How far readings are durable. Only this, not MQTT's own confirmation, lets a device forget them.",
    ),
    Topic("refusals", Refusal, "platform", ("device",), "What does not count, and why."),
    Topic("notices", Notice, "platform", ("device",), "A hint to look for work."),
    Topic("unlock/ask", Ask, "renter", ("device",), "A wish to unlock the machine, or to stop it."),
    Topic("unlock/challenge", Challenge, "device", ("renter",), "A nonce to be signed, used once."),
    Topic("unlock/answer", Answer, "renter", ("device",), "The signed nonce."),
    *_bargaining_of("device"),
    *_bargaining_of("bargainer"),
)
