"""The way into the MQTT broker: a challenge, and for a signature under it a name and a password."""

from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.access import BrokerChallenge, SignedBrokerAccess
from services.gateway.parameters import problems
from services.gateway.rpc import call, wire
from services.gateway.settings import NeighbourSettings
from services.messages.metering import BrokerAccessView

routes = APIBlueprint(
    "broker", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="broker")]
)


@routes.get("/broker/challenge", operation_id="get_broker_challenge", responses={200: BrokerChallenge})
def get_broker_challenge() -> Any:
    """Return what a wish to enter the broker must carry: good for a minute, once."""
    return call("metering", "broker_challenge", NeighbourSettings().broker.address)


@routes.post("/broker/access", operation_id="enter_broker", responses={200: BrokerAccessView})
def enter_broker(body: SignedBrokerAccess) -> Response:
    """Let a device in, by its meter's signature, or the renter of a rental in use, by its session key's.

    The answer is kept nowhere, not even under an Idempotency-Key, and the password before it ends.
    """
    answer = jsonify(call("metering", "enter_broker", wire(body), NeighbourSettings().broker.address))
    answer.headers["Cache-Control"] = "no-store"
    return answer
