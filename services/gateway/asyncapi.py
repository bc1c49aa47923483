"""asyncapi.yaml: what a device and a renter's agent send and hear over MQTT, made of the topics' models.

``python -m services.gateway.asyncapi`` writes it, ``--check`` fails where it drifted. The examples are signed
for real, by keys that follow from a word, so that anyone can check their signatures against them.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hireling.rental.batch import ReadingBatch
from hireling.rental.broker_users import bargainer_id, everybodys
from hireling.rental.ceiling import Ceiling, sign_ceiling
from hireling.rental.close import Unlock, UnlockAction
from hireling.rental.encoding import CBOR, JSON, to_cbor
from hireling.rental.hashing import keccak256
from hireling.rental.reading import (
    ClockQuality,
    Reading,
    ReadingEvent,
    Sample,
    SignedReading,
    reading_hash,
    sign_reading,
)
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.states import State
from hireling.rental.topics import TOPICS, Ack, Answer, Ask, Challenge, Notice, Refusal, Topic
from hireling.rental.typed_data import Domain, to_hex
from services.gateway.example_moves import example_moves

COMMITTED = Path(str(files("hireling") / "asyncapi.yaml"))
METER = Secp256k1Key(keccak256(b"the meter of the examples"))
SESSION = Secp256k1Key(keccak256(b"the renter's session of the examples"))
DOMAIN = Domain(chain_id=31337, escrow=keccak256(b"the escrow of the examples")[:20])
RENTAL_ID = keccak256(b"the rental of the examples")
DEVICE = keccak256(METER.identity)
BOOT = keccak256(b"the boot of the examples")
BEGAN_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
WATT_MJ, CENT = 1_000, 10_000  # a kilojoule a second at a cent each
PARAMETERS = {
    "device": {
        "description": "keccak256 of the meter's identity, 0x-hex in lower case",
        "examples": [to_hex(DEVICE)],
    },
    "bargainer": {
        "description": "keccak256 of the key that the renter's agent bargains with, 0x-hex in lower case",
        "examples": [bargainer_id(SESSION.identity)],
    },
}


def example_readings(count: int) -> list[SignedReading]:
    """Return the first readings of a rental that uses a kilowatt, a second apart."""
    found: list[SignedReading] = []
    previous = RENTAL_ID
    for seq in range(count):
        sample = Sample(
            previous=previous,
            counters=(seq * WATT_MJ * 1_000,),
            boot=BOOT,
            monotonic_ms=5_000 + seq * 1_000,
            wall_ms=BEGAN_MS + seq * 1_000,
            clock=ClockQuality.SYNCHRONISED,
            event=ReadingEvent.CONTINUE if seq else ReadingEvent.BEGIN,
            flags=0,
        )
        reading = Reading(rental_id=RENTAL_ID, seq=seq, amount_due=seq * CENT, last=False, sample=sample)
        found.append(sign_reading(METER, DOMAIN, reading))
        previous = reading_hash(reading)
    return found


def examples() -> Mapping[str, Sequence[BaseModel]]:
    """Return what may travel on each channel, in an order in which all of it counts."""
    readings = example_readings(6)
    acknowledged = readings[3].reading
    ceiling = Ceiling(
        rental_id=RENTAL_ID,
        max_claimable=acknowledged.amount_due + 60 * CENT,
        ack_amount=acknowledged.amount_due,
        ack_reading=reading_hash(acknowledged),
    )
    nonce = keccak256(b"the nonce of the examples")
    unlock = Unlock(rental_id=RENTAL_ID, device=DEVICE, nonce=nonce, action=UnlockAction.UNLOCK)
    ask = Ask(rental_id=RENTAL_ID, action=UnlockAction.UNLOCK)
    return {
        "readings": readings[:1],
        "batches": [ReadingBatch(readings=tuple(readings[1:4]))],
        "ceilings": [sign_ceiling(SESSION, DOMAIN, ceiling)],
        "acks": [Ack(rental_id=RENTAL_ID, seq=3)],
        "refusals": [
            Refusal(rental_id=RENTAL_ID, seq=5, code="gap", detail="waits for reading 4"),
            Refusal(
                rental_id=RENTAL_ID, seq=None, code="rate_limited", detail="too many messages", wait_ms=1_500
            ),
        ],
        "notices": [
            Notice(type="offer_made", quote_id="4f1c9a"),
            Notice(type="rental_changed", rental_id=RENTAL_ID, state=State.ACTIVE),
            Notice(
                type="flagged",
                rental_id=RENTAL_ID,
                seq=712,
                code="gap",
                reason="no reading for 700 s, in which the counters grew by [90000]; at most 600 s are usual",
            ),
        ],
        "unlockAsk": [ask],
        "unlockChallenge": [Challenge(**ask.model_dump(), nonce=nonce)],
        "unlockAnswer": [
            Answer(**ask.model_dump(), nonce=nonce, signature=sign(SESSION, DOMAIN, unlock)),
        ],
        **example_moves(domain=DOMAIN, meter=METER, session=SESSION, at=BEGAN_MS // 1_000),
    }


def document() -> dict[str, Any]:
    """Return the AsyncAPI document, from a device's point of view."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hireling over MQTT",
            "version": version("hireling"),
            "description": (
                "What a machine sends and hears, and a renter's agent that bargains. Integers are numbers or "
                "decimal strings, bytes 0x-hex; what is signed is EIP-712 typed data (docs/protocol.md). "
                "MQTT 5, or 3.1.1 without its properties; QoS 1, nothing retained, a session of any kind: "
                "what is not acknowledged on `acks`, or answered on `answers`, its sender sends again."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": JSON,
        "servers": {
            "marketplace": {
                "host": "{host}:{port}",
                "protocol": "mqtt",
                "protocolVersion": "5.0",
                "description": "The broker that GET /v1/platform names.",
                "variables": {"host": {"default": "127.0.0.1"}, "port": {"default": "1883"}},
                "security": [{"$ref": "#/components/securitySchemes/access"}],
            }
        },
        "channels": {_name(topic): _channel(topic) for topic in TOPICS},
        "operations": {_operation_name(topic): _operation(topic) for topic in _of_agents()},
        "components": {
            "messages": _messages(),
            "schemas": _schemas(),
            "securitySchemes": {
                "access": {
                    "type": "userPassword",
                    "description": (
                        "Name and password are for hours. GET /v1/broker/challenge, sign it by the meter's "
                        "key, POST /v1/broker/access (docs/broker.md). A device says and hears its own "
                        "topics only, and so does a renter's agent, which signs by its session key."
                    ),
                }
            },
        },
    }


def _of_agents() -> list[Topic]:
    """Return the topics of a device, and of a renter's agent that bargains, with a part in them."""
    return [topic for topic in TOPICS if topic.whose in {topic.sender, *topic.listeners}]


def _name(topic: Topic) -> str:
    first, *rest = [topic.word] if topic.whose == "device" else ["bargainer", topic.word]
    first, *rest = [*first.split("/"), *rest]
    return first + "".join(part.capitalize() for part in rest)


def _address(topic: Topic) -> str:
    return everybodys(topic).replace("+", f"{{{topic.whose}}}")


def _variants(topic: Topic) -> dict[str, str]:
    """Return the topic's messages and the content type of each."""
    name = _name(topic)
    return {name: JSON, f"{name}Cbor": CBOR} if topic.in_cbor else {name: JSON}


def _channel(topic: Topic) -> dict[str, Any]:
    listeners = " and ".join(f"the {party}" for party in topic.listeners)
    return {
        "address": _address(topic),
        "description": f"{topic.about} From the {topic.sender} to {listeners}.",
        "parameters": {topic.whose: PARAMETERS[topic.whose]},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _variants(topic)},
    }


def _operation_name(topic: Topic) -> str:
    verb = "send" if topic.sender == topic.whose else "hear"
    name = _name(topic)
    return f"{verb}{name[0].upper()}{name[1:]}"


def _operation(topic: Topic) -> dict[str, Any]:
    channel = f"#/channels/{_name(topic)}"
    return {
        "action": "send" if topic.sender == topic.whose else "receive",
        "channel": {"$ref": channel},
        "summary": topic.about,
        "messages": [{"$ref": f"{channel}/messages/{name}"} for name in _variants(topic)],
        "bindings": {"mqtt": {"qos": 1, "retain": False, "bindingVersion": "0.2.0"}},
    }


def _messages() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for topic in TOPICS:
        some = examples()[_name(topic)]
        for name, content_type in _variants(topic).items():
            found[name] = {
                "name": topic.carries.__name__,
                "contentType": content_type,
                "payload": _payload(topic, content_type),
                "examples": [{"payload": _example(one, content_type)} for one in some],
            }
    return found


def _payload(topic: Topic, content_type: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{topic.carries.__name__}"}
    if content_type == JSON:
        return schema
    return {
        "type": "string",
        "contentEncoding": "base16",
        "contentMediaType": CBOR,
        "description": (
            f"{topic.carries.__name__} in CBOR, here in hex: the same members, integers as integers and "
            "bignums, bytes as byte strings, in their shortest form."
        ),
    }


def _example(one: BaseModel, content_type: str) -> Any:
    return one.model_dump(mode="json", exclude_unset=True) if content_type == JSON else to_cbor(one).hex()


def _schemas() -> dict[str, Any]:
    models = dict.fromkeys(topic.carries for topic in TOPICS)
    _, found = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: dict[str, Any] = found["$defs"]
    return schemas


class _Plain(yaml.SafeDumper):
    """Writes everything out, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: nothing is written by reference."""
        return True


def text() -> str:
    """Return the document as it is committed."""
    head = "# Generated by python -m services.gateway.asyncapi: change the topics or their models instead.\n"
    return head + yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=110)


def main(arguments: list[str]) -> int:
    """Write the document; with --check, compare instead, and return 1 where it drifted."""
    if arguments == ["--check"]:
        if COMMITTED.read_text() == text():
            return 0
        sys.stderr.write(f"{COMMITTED} is not what the topics say: run python -m services.gateway.asyncapi\n")
        return 1
    COMMITTED.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
