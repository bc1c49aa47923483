"""The AsyncAPI document is what the topics say, and its examples are what they claim to be."""

import json

import jsonschema_rs
import pytest
from pydantic import ValidationError

from hireling.device.listener import WORDS
from hireling.rental.encoding import parse
from hireling.rental.reading import run_of_one
from hireling.rental.topics import TOPICS, Topic
from services.gateway import asyncapi
from services.metering.wire import KINDS
from tests.asyncapi import CBOR, DOCUMENT, Message, conforms, messages

EVERY = list(messages())


def name_of(message: Message) -> str:
    """Return a test's name."""
    return f"{message.word}-{message.content_type.rpartition('/')[2]}"


def topic_of(message: Message) -> Topic:
    """Return the topic that a message travels on."""
    return next(topic for topic in TOPICS if word_of(topic) == message.word)


def word_of(topic: Topic) -> str:
    """Return how a topic's messages are named."""
    return topic.word if topic.whose == "device" else f"bargainers/{{bargainer}}/{topic.word}"


def test_the_committed_document_is_what_the_topics_say() -> None:
    assert asyncapi.main(["--check"]) == 0
    assert json.loads(json.dumps(asyncapi.document())) == DOCUMENT


def test_both_ends_take_their_topics_from_the_table() -> None:
    assert {*KINDS, "moves"} == {topic.word for topic in TOPICS if "platform" in topic.listeners}
    assert set(WORDS) == {topic.word for topic in TOPICS if "device" in topic.listeners}


def test_every_topic_has_an_example() -> None:
    assert {message.word for message in EVERY} == {word_of(topic) for topic in TOPICS}


@pytest.mark.parametrize("message", EVERY, ids=name_of)
def test_an_example_parses_to_the_same_object_in_either_encoding(message: Message) -> None:
    carries = topic_of(message).carries
    if message.content_type == CBOR:
        found = parse(carries, bytes.fromhex(message.example))
        assert found in [parse(carries, _json(other)) for other in EVERY if _is_twin(other, message)]
    else:
        conforms(message.word, message.example)
        assert parse(carries, _json(message)).model_dump(mode="json", exclude_unset=True) == message.example


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("readings", {"signature": "0x0"}),
        ("acks", {"seq": -1}),
        ("ceilings", {"more": 1}),
        ("acks", {"seq": 1.5}),
    ],
)
def test_the_schema_refuses_what_the_model_refuses(word: str, change: dict[str, object]) -> None:
    right = next(message for message in EVERY if message.word == word)
    wrong = {**right.example, **change}
    with pytest.raises(jsonschema_rs.ValidationError):
        conforms(word, wrong)
    with pytest.raises(ValidationError):
        parse(topic_of(right).carries, json.dumps(wrong).encode())


def test_the_examples_are_signed() -> None:
    (reading,) = [asyncapi.examples()["readings"][0]]
    assert run_of_one(reading).signer == asyncapi.METER.identity  # type: ignore[arg-type]


def _json(message: Message) -> bytes:
    return json.dumps(message.example).encode()


def _is_twin(other: Message, message: Message) -> bool:
    return other.word == message.word and other.content_type != CBOR
