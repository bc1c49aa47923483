"""Two agents that bargain over MQTT, by docs/bargaining.md and docs/broker.md, without this project's code.

``python mqtt_agents.py GATEWAY``: as rest_agents.py beside it, which registers the machine and asks the
question for them; every move after that, and all they hear of each other's, goes through the broker.
"""

import importlib.util
import json
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

Json = dict[str, Any]
WITHIN_SECONDS = 60.0
SILENCE_SECONDS = 5.0


def _rest() -> Any:
    """Return rest_agents.py, which no path leads to."""
    path = Path(__file__).with_name("rest_agents.py")
    spec = importlib.util.spec_from_file_location("rest_agents", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REST = _rest()


class Line:
    """One agent's line to the broker."""

    def __init__(self, api: Any, key: Any, *, device: str, asked: str, path: str) -> None:
        self.path, self.api, self.key = path, api, key
        self._news = threading.Condition()
        self._heard: dict[str, list[Json]] = {"answers": [], "sessions": []}
        self._up = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(*self._names(device, asked))
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._up.set()
        self.client.on_message = self._on_message
        # A new name is known to the broker a moment later: it is tried again until then.
        self.client.reconnect_delay_set(1, 1)
        mqtt = api.get("/v1/platform")["mqtt"]
        self.client.connect(mqtt["host"], mqtt["port"])
        self.client.loop_start()
        if not self._up.wait(WITHIN_SECONDS):
            raise TimeoutError(f"{path} was not let in")

    def move(self, quote_id: str, **move: Any) -> Json:
        """Make a move, again until it is answered; return the session after it."""
        ref = secrets.token_hex(8)
        until = time.monotonic() + WITHIN_SECONDS
        while time.monotonic() < until:
            message = json.dumps({"ref": ref, "quote_id": quote_id, **move})
            self.client.publish(f"hireling/{self.path}/moves", message, qos=1)
            answer = self._wait("answers", lambda told: told["ref"] == ref, SILENCE_SECONDS)
            if answer is not None:
                assert answer["outcome"] == "done", answer
                session: Json = answer["session"]
                return session
        raise TimeoutError("the move was not answered")

    def told(self, **wanted: Any) -> Json:
        """Wait until told of a session that stands so; return it."""
        found = self._wait("sessions", lambda told: wanted.items() <= told.items(), WITHIN_SECONDS)
        if found is None:
            raise TimeoutError(f"{self.path} was not told of {wanted}")
        return found

    def close(self) -> None:
        """Hang up."""
        self.client.disconnect()
        self.client.loop_stop()

    def _names(self, device: str, asked: str) -> tuple[str, str]:
        challenge = self.api.get("/v1/broker/challenge")
        access = {
            "broker": "0x" + keccak(text=challenge["broker"]).hex(),
            "device": device,
            "rental_id": asked,
            "at_ms": str(challenge["at_ms"]),
            "nonce": challenge["nonce"],
        }
        signature = self.key.sign(self.api.get("/v1/platform"), "BrokerAccess", access)
        names = self.api.post("/v1/broker/access", {"access": access, "signature": signature})
        return names["username"], names["password"]

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            client.subscribe([(f"hireling/{self.path}/{word}", 1) for word in self._heard])

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        with self._news:
            self._heard[message.topic.rpartition("/")[2]].append(json.loads(message.payload))
            self._news.notify_all()

    def _wait(self, word: str, fits: Callable[[Json], bool], seconds: float) -> Json | None:
        def found() -> Json | None:
            return next((told for told in self._heard[word] if fits(told)), None)

        with self._news:
            self._news.wait_for(found, seconds)
            return found()


def main() -> None:
    """Have both agents come to terms."""
    api = REST.Api(sys.argv[1])
    owner, renter = REST.OwnerAgent(api), REST.RenterAgent(api)
    owner.arrive()
    machine = Line(api, owner.meter, device=owner.device, asked="0x" + "00" * 32, path=owner.device)
    quote_id = renter.ask(owner.device)
    asked = machine.told(quote_id=quote_id, turn="owner")
    bargainer = "0x" + keccak(hexstr=renter.session.address).hex()
    person = Line(
        api,
        renter.session,
        device=owner.device,
        asked=REST.document_hash(asked["request"]),
        path=f"bargainers/{bargainer}",
    )
    first = REST.signed_offer(owner.agent, owner.platform, owner.first_offer(asked))
    machine.move(quote_id, offer=first)
    last = person.told(turn="renter", made=1)["offers"][-1]["offer"]
    better = renter.better(last)
    person.move(quote_id, offer=REST.signed_offer(renter.session, renter.platform, better))
    offer = machine.told(turn="owner", made=2)["offers"][-1]["offer"]
    machine.move(quote_id, signature=REST.signature_over(owner.agent, owner.platform, offer))
    person.told(signed_by=["owner"])
    agreed = person.move(quote_id, signature=REST.signature_over(renter.wallet, renter.platform, offer))
    assert machine.told(status="agreed")["rental_id"] == agreed["rental_id"]
    for line in (machine, person):
        line.close()
    print(json.dumps(REST.told_of(api, quote_id, offer, agreed)))  # noqa: T201  its one answer


if __name__ == "__main__":
    main()
