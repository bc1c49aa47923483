"""The committed AsyncAPI document as a reader of it in any language would use it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import yaml

from services.gateway.asyncapi import COMMITTED

CBOR = "application/cbor"
DOCUMENT: dict[str, Any] = yaml.safe_load(COMMITTED.read_text())


@dataclass(frozen=True)
class Message:
    """A message of the document: where it travels, in what, and an example.

    ``word`` is what stands after the device in its address, else the whole of it after the root.
    """

    word: str
    content_type: str
    example: Any


def messages(*, action: str | None = None) -> Iterator[Message]:
    """Yield every example, in the document's order; `action` is what a device does with it."""
    wanted = {
        operation["channel"]["$ref"].rpartition("/")[2]
        for operation in DOCUMENT["operations"].values()
        if operation["action"] == action
    }
    for name, channel in DOCUMENT["channels"].items():
        if action is not None and name not in wanted:
            continue
        for reference in channel["messages"]:
            message = DOCUMENT["components"]["messages"][reference]
            word = _word(channel["address"])
            for example in message["examples"]:
                yield Message(word, message["contentType"], example["payload"])


def conforms(word: str, payload: Any) -> None:
    """Raise jsonschema_rs.ValidationError unless a JSON message may travel on this topic."""
    (name,) = [name for name, channel in DOCUMENT["channels"].items() if _word(channel["address"]) == word]
    schema = DOCUMENT["components"]["messages"][name]["payload"]
    jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]}).validate(payload)


def _word(address: str) -> str:
    return address.removeprefix("hireling/").removeprefix("{device}/")
