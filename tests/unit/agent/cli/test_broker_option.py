"""``--broker``: a device's own way to the MQTT broker."""

import pytest

from hireling.mqtt_line import Broker


def test_is_named_by_host_and_port() -> None:
    assert Broker.at("mqtt://mosquitto:1884") == Broker(host="mosquitto", port=1884)
    assert Broker.at("mqtt://192.0.2.7").port == 1883
    assert Broker.at("mqtts://b.example") == Broker(host="b.example", port=8883, tls=True)


@pytest.mark.parametrize("url", ["mosquitto:1883", "http://mosquitto", "mqtt://", ""])
def test_says_how_a_broker_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="mqtt://host:port"):
        Broker.at(url)
