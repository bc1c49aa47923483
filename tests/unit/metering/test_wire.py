"""Messages as they come, and what is kept of those that do not parse."""

import json
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.encoding import to_cbor
from hireling.rental.reading import reading_hash, run_of_one
from services.chassis.mqtt_settings import MqttSettings
from services.metering.wire import CeilingLetter, Incoming, ReadingLetter, Refused, open_message
from tests.builders import NOW, a_reading_chain

READING = a_reading_chain(2)[1]
DEVICE = "0x" + "ab" * 32


def incoming(payload: bytes, *, word: str = "readings", device: str = DEVICE) -> Incoming:
    """Return a message on a device's topic."""
    return Incoming(topic=f"hireling/{device}/{word}", payload=payload, received_at=NOW)


class TestOpenMessage:
    def test_opens_a_reading(self) -> None:
        letter = open_message(incoming(READING.model_dump_json().encode()), largest=10_000, slack_seconds=2.0)
        assert isinstance(letter, ReadingLetter)
        run = run_of_one(READING)
        assert (letter.domain, letter.signer, letter.gist.head) == (run.domain, run.signer, run.head)
        assert letter.document == READING.model_dump_json()
        assert letter.hash == f"0x{reading_hash(READING.reading).hex()}"

    def test_looks_at_nothing_that_is_too_long(self) -> None:
        opened = open_message(incoming(READING.model_dump_json().encode()), largest=100, slack_seconds=2.0)
        assert isinstance(opened, Refused)
        assert opened.code == "malformed"
        assert "at most 100" in opened.detail

    @pytest.mark.parametrize("topic", ["hireling/0x00/readings", f"hireling/{DEVICE}/acks", "", "x"])
    def test_takes_nothing_from_another_topic(self, topic: str) -> None:
        payload = READING.model_dump_json().encode()
        opened = open_message(
            Incoming(topic=topic, payload=payload, received_at=NOW), largest=10_000, slack_seconds=2.0
        )
        assert isinstance(opened, Refused)
        assert opened.device is None

    @given(payload=st.binary() | st.text().map(str.encode), word=st.sampled_from(["readings", "ceilings"]))
    def test_never_raises(self, payload: bytes, word: str) -> None:
        opened = open_message(incoming(payload, word=word), largest=10_000, slack_seconds=2.0)
        assert isinstance(opened, Refused)
        check_storable(opened)

    @given(
        document=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["reading", "rental_id", "seq", "\x00"]), inner, max_size=3)
            ),
        )
    )
    def test_never_raises_on_any_json(self, document: object) -> None:
        opened = open_message(incoming(json.dumps(document).encode()), largest=10_000, slack_seconds=2.0)
        assert isinstance(opened, Refused | CeilingLetter | ReadingLetter)
        if isinstance(opened, Refused):
            check_storable(opened)


class TestCbor:
    def test_opens_to_the_same_letter_as_json(self) -> None:
        json_letter = open_message(
            incoming(READING.model_dump_json().encode()), largest=10_000, slack_seconds=2.0
        )
        cbor_letter = open_message(incoming(to_cbor(READING)), largest=10_000, slack_seconds=2.0)
        assert isinstance(json_letter, ReadingLetter)
        assert isinstance(cbor_letter, ReadingLetter)
        assert cbor_letter == replace(json_letter, incoming=cbor_letter.incoming)
        assert (cbor_letter.hash, cbor_letter.document) == (json_letter.hash, json_letter.document)

    def test_that_is_malformed_is_refused_with_its_bytes(self) -> None:
        payload = to_cbor(READING) + b"\x00"
        opened = open_message(incoming(payload), largest=10_000, slack_seconds=2.0)
        assert isinstance(opened, Refused)
        assert (opened.code, opened.evidence) == ("malformed", f"0x{payload.hex()}")

    def test_that_is_out_of_range_is_refused_under_what_it_claims(self) -> None:
        values = READING.model_dump()
        values["reading"]["amount_due"] = 2**96
        opened = open_message(incoming(cbor2.dumps(values)), largest=10_000, slack_seconds=2.0)
        assert isinstance(opened, Refused)
        assert (opened.rental_id, opened.seq) == (f"0x{READING.reading.rental_id.hex()}", 1)
        assert "uint96" in opened.detail

    @given(payload=st.binary(max_size=200).map(lambda rest: b"\xa3" + rest))
    def test_never_raises(self, payload: bytes) -> None:
        opened = open_message(incoming(payload), largest=10_000, slack_seconds=2.0)
        assert isinstance(opened, Refused)
        check_storable(opened)


def check_storable(refused: Refused) -> None:
    """Assert that PostgreSQL could store it: no NUL, no lone surrogate, and not too long."""
    for text in (refused.detail, refused.evidence):
        assert "\x00" not in text
        assert text.encode().decode() == text
        assert len(text) <= 8_192


class TestMqttSettings:
    def test_names_a_broker(self) -> None:
        settings = MqttSettings(mqtt_url="mqtts://meter:word@broker.example")
        assert (settings.host, settings.port, settings.encrypted) == ("broker.example", 8883, True)
        assert settings.credentials == ("meter", "word")
        assert MqttSettings(mqtt_url="mqtt://127.0.0.1:1884").port == 1884

    @pytest.mark.parametrize("url", ["http://broker", "mqtt://", "broker:1883"])
    def test_refuses_what_is_no_broker(self, url: str) -> None:
        with pytest.raises(ValueError, match="mqtt://host:port"):
            MqttSettings(mqtt_url=url)
