"""MQTT packets: what we write is what a broker reads, and whatever comes is a packet or a ProtocolError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from services.chassis import mqtt_packets as mqtt
from services.chassis.mqtt_packets import Confirmed, Connected, Decoder, Delivery, ProtocolError, Version

VERSIONS = pytest.mark.parametrize("version", list(Version), ids=lambda version: version.name)
TOPICS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
MESSAGES = st.lists(st.tuples(st.integers(1, 0xFFFF), TOPICS, st.binary(max_size=400)), max_size=20)


def paho_properties(kind: int, **values: object) -> bytes:
    """Return properties as paho writes them."""
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]
    return packed


class TestDecoder:
    @given(version=st.sampled_from(Version), messages=MESSAGES, data=st.data())
    def test_reads_messages_however_they_are_cut(
        self, version: Version, messages: list[tuple[int, str, bytes]], data: st.DataObject
    ) -> None:
        wire = b"".join(mqtt.publish(version, *message) for message in messages)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
        decoder = Decoder(version)
        pieces = [wire[start:end] for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
        found = [packet for piece in pieces for packet in decoder.feed(piece)]
        assert found == [Delivery(*message) for message in messages]

    @given(version=st.sampled_from(Version), wire=st.binary(max_size=200))
    def test_takes_anything_or_says_that_it_is_no_mqtt(self, version: Version, wire: bytes) -> None:
        decoder = Decoder(version)
        try:
            for byte in wire:
                decoder.feed(bytes([byte]))
        except ProtocolError:
            pass

    @VERSIONS
    def test_keeps_the_head_of_what_is_too_long_and_goes_on(self, version: Version) -> None:
        wire = mqtt.publish(version, 7, "long", b"x" * 3 * mqtt.LARGEST_KEPT) + mqtt.publish(
            version, 8, "b", b""
        )
        decoder = Decoder(version)
        size = 200_000
        packets = [one for at in range(0, len(wire), size) for one in decoder.feed(wire[at : at + size])]
        long, short = packets
        assert isinstance(long, Delivery)
        assert (long.packet_id, long.topic) == (7, "long")
        assert mqtt.LARGEST_KEPT // 2 < len(long.payload) <= mqtt.LARGEST_KEPT + size
        assert short == Delivery(8, "b", b"")

    def test_finds_the_correlation_data_among_a_message_s_properties(self) -> None:
        properties = paho_properties(
            PacketTypes.PUBLISH,
            UserProperty=[("a", "b" * 200)],
            PayloadFormatIndicator=1,
            ResponseTopic="t/answers",
            CorrelationData=b"\x00\x09mine",
        )
        body = b"\x00\x01t" + b"\x00\x05" + properties + b"payload"
        wire = b"\x32" + mqtt._size(len(body)) + body
        [delivery] = Decoder(Version.V5).feed(wire)
        assert isinstance(delivery, Delivery)
        assert delivery[:3] == (5, "t", b"payload")
        assert mqtt.correlation_of(delivery) == b"\x00\x09mine"

    @given(properties=st.binary(max_size=60))
    def test_finds_nothing_where_the_properties_are_none(self, properties: bytes) -> None:
        assert mqtt.correlation_of(Delivery(1, "t", b"")) == b""
        mqtt.correlation_of(Delivery(1, "t", b"", properties))

    def test_knows_what_a_broker_of_version_5_asks_for(self) -> None:
        properties = paho_properties(
            PacketTypes.CONNACK,
            AssignedClientIdentifier="auto-1",
            UserProperty=[("x", "y")],
            TopicAliasMaximum=10,
            ReceiveMaximum=20,
            ServerKeepAlive=33,
        )
        wire = b"\x20" + mqtt._size(2 + len(properties)) + b"\x00\x00" + properties
        assert Decoder(Version.V5).feed(wire) == [Connected(0, receive_maximum=20, keepalive_seconds=33)]

    @pytest.mark.parametrize(
        ("wire", "refused"),
        [(b"\x40\x02\x00\x09", False), (b"\x40\x03\x00\x09\x10", False), (b"\x40\x04\x00\x09\x87\x00", True)],
    )
    def test_hears_whether_a_message_was_taken(self, wire: bytes, refused: bool) -> None:
        [confirmed] = Decoder(Version.V5).feed(wire)
        assert isinstance(confirmed, Confirmed)
        assert (confirmed.packet_id, confirmed.is_refusal) == (9, refused)

    @pytest.mark.parametrize(
        "wire",
        [b"\x10\x00", b"\x34\x07\x00\x01t\x00\x01\x00x", b"\x32\xff\xff\xff\xff\x7f", b"\x32\x03\x00\x09t"],
    )
    def test_refuses_what_no_broker_sends(self, wire: bytes) -> None:
        with pytest.raises(ProtocolError):
            Decoder(Version.V5).feed(wire)


class TestWriting:
    @VERSIONS
    def test_sends_correlation_data_where_the_version_has_it(self, version: Version) -> None:
        [delivery] = Decoder(version).feed(mqtt.publish(version, 1, "t", b"x", correlation=b"mine"))
        assert isinstance(delivery, Delivery)
        assert delivery[:3] == (1, "t", b"x")
        assert mqtt.correlation_of(delivery) == (b"mine" if version is Version.V5 else b"")

    def test_sends_correlation_data_as_paho_does(self) -> None:
        properties = paho_properties(PacketTypes.PUBLISH, CorrelationData=b"mine")
        assert (
            mqtt.publish(Version.V5, 1, "t", b"x", correlation=b"mine")[2:]
            == b"\x00\x01t\x00\x01" + properties + b"x"
        )

    def test_asks_as_paho_does(self) -> None:
        properties = paho_properties(PacketTypes.CONNECT, ReceiveMaximum=300)
        wire = mqtt.connect(
            Version.V5, client_id="me", keepalive_seconds=20, receive_maximum=300, username="u", password="p"
        )
        head = b"\x00\x04MQTT\x05\xc2\x00\x14"
        assert wire[2:] == head + properties + b"\x00\x02me\x00\x01u\x00\x01p"
        options = SubscribeOptions(qos=1).pack()  # type: ignore[no-untyped-call]
        assert mqtt.subscribe(Version.V5, 3, ["a/+"])[2:] == b"\x00\x03\x00\x00\x03a/+" + options
