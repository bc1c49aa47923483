"""Messages as they come, and what is kept of those that do not parse."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hireling.rental.reading import reading_hash, run_of_one
from services.metering.settings import MqttSettings
from services.metering.wire import CeilingLetter, Incoming, ReadingLetter, Refused, open_message
from tests.builders import NOW, a_reading_chain

READING = a_reading_chain(2)[1]
DEVICE = "0x" + "ab" * 32


def incoming(payload: bytes, *, word: str = "readings", device: str = DEVICE) -> Incoming:
    """Return a message on a device's topic."""
    return Incoming(topic=f"hireling/{device}/{word}", payload=payload, received_at=NOW)


class TestOpenMessage:
    def test_opens_a_reading(self) -> None:
        letter = open_message(incoming(READING.model_dump_json().encode()), largest=10_000)
        assert isinstance(letter, ReadingLetter)
        assert letter.run == run_of_one(READING)
        assert letter.hash == f"0x{reading_hash(READING.reading).hex()}"

    def test_looks_at_nothing_that_is_too_long(self) -> None:
        opened = open_message(incoming(READING.model_dump_json().encode()), largest=100)
        assert isinstance(opened, Refused)
        assert opened.code == "malformed"
        assert "at most 100" in opened.detail

    @pytest.mark.parametrize("topic", ["hireling/0x00/readings", f"hireling/{DEVICE}/acks", "", "x"])
    def test_takes_nothing_from_another_topic(self, topic: str) -> None:
        payload = READING.model_dump_json().encode()
        opened = open_message(Incoming(topic=topic, payload=payload, received_at=NOW), largest=10_000)
        assert isinstance(opened, Refused)
        assert opened.device is None

    @given(payload=st.binary() | st.text().map(str.encode), word=st.sampled_from(["readings", "ceilings"]))
    def test_never_raises(self, payload: bytes, word: str) -> None:
        opened = open_message(incoming(payload, word=word), largest=10_000)
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
        opened = open_message(incoming(json.dumps(document).encode()), largest=10_000)
        assert isinstance(opened, Refused | CeilingLetter | ReadingLetter)
        if isinstance(opened, Refused):
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
