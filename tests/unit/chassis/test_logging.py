"""services.chassis.logging: no secret reaches a log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from services.chassis.logging import REFUSED, configure_logging, get_logger, refuse_secrets
from services.chassis.settings import LogSettings

SECRET_NAMES = [
    "key",
    "keys",
    "private_key",
    "signing_key",
    "api_key",
    "password",
    "db_password",
    "passphrase",
    "mnemonic",
    "seed",
    "token",
    "access_token",
    "client_secret",
    "secrets",
    "Authorization",
    "cookie",
]


class TestRefuseSecrets:
    """The scrubber."""

    @pytest.mark.parametrize("name", SECRET_NAMES)
    def test_refuses_values_whose_name_says_secret(self, name: str) -> None:
        assert refuse_secrets(None, "info", {name: "0xdeadbeef"}) == {name: REFUSED}

    @pytest.mark.parametrize(
        "name",
        ["public_key", "event_key", "idempotency_key", "key_id", "device_id", "token_address", "monkey"],
    )
    def test_keeps_names_that_only_sound_like_one(self, name: str) -> None:
        assert refuse_secrets(None, "info", {name: "0x01"}) == {name: "0x01"}

    def test_looks_into_nested_fields(self) -> None:
        event = refuse_secrets(
            None, "info", {"wallet": {"address": "0x01", "private_key": "0x02"}, "all": [{"seed": 1}]}
        )
        assert event == {"wallet": {"address": "0x01", "private_key": REFUSED}, "all": [{"seed": REFUSED}]}

    def test_takes_passwords_out_of_addresses(self) -> None:
        event = refuse_secrets(None, "info", {"bus": "amqp://hireling:hunter2@rabbit:5672//"})
        assert event == {"bus": f"amqp://hireling:{REFUSED}@rabbit:5672//"}


class TestJsonFormat:
    """What a machine reads."""

    @pytest.fixture
    def lines(self) -> Iterator[io.StringIO]:
        root = logging.getLogger()
        before, level = root.handlers[:], root.level
        configure_logging(LogSettings(log_format="json"))
        stream = io.StringIO()
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        yield stream
        root.handlers[:] = before
        root.setLevel(level)

    def test_is_one_object_per_event_with_its_fields(self, lines: io.StringIO) -> None:
        get_logger("room").info("device_registered", device_id="0x01", password="hunter2")
        line = json.loads(lines.getvalue())
        assert line["event"] == "device_registered"
        assert (line["level"], line["logger"], line["device_id"], line["password"]) == (
            "info",
            "room",
            "0x01",
            REFUSED,
        )

    def test_shows_no_local_variables_in_tracebacks(self, lines: io.StringIO) -> None:
        hidden = "0xfeedface"
        try:
            int(hidden, base=2)
        except ValueError:
            get_logger("room").exception("reading_failed")
        assert "ValueError" in lines.getvalue()
        assert '"hidden"' not in lines.getvalue()

    def test_carries_the_standard_librarys_records_too(self, lines: io.StringIO) -> None:
        logging.getLogger("elsewhere").warning("plain")
        assert json.loads(lines.getvalue())["event"] == "plain"

    def test_names_no_address_that_was_asked(self, lines: io.StringIO) -> None:
        """A chain's node may be named by an address that is a secret."""
        logging.getLogger("httpx").info("HTTP Request: POST https://node.example/v3/0123456789abcdef")
        assert not lines.getvalue()
