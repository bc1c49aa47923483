"""Delegates: an owner lets the platform bargain for a machine that cannot, inside bounds it signed."""

from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.appointment import DelegateOrder, SignedAppointment, SignedInquiry
from services.gateway.parameters import DevicePath, QuotePath, problems
from services.gateway.rpc import call, wire
from services.messages.delegates import DelegateKey, DelegateStory

routes = APIBlueprint(
    "delegates", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="delegates")]
)


@routes.post("/devices/<device>/delegate", operation_id="make_delegate_key", responses={200: DelegateKey})
def make_delegate_key(path: DevicePath) -> Any:
    """Have the platform make the key of a delegate for this device: its address, for the owner to appoint.

    The same one until it is appointed. By itself it may do nothing.
    """
    return call("negotiation", "make_delegate_key", wire(path)["device"])


@routes.get("/devices/<device>/delegate", operation_id="get_appointment", responses={200: SignedAppointment})
def get_appointment(path: DevicePath) -> Any:
    """Return the appointment that stands for a device, as its owner signed it; its bounds are not told."""
    return call("negotiation", "get_appointment", wire(path)["device"])


@routes.post("/delegates", operation_id="appoint_delegate", responses={200: SignedAppointment})
def appoint_delegate(body: DelegateOrder) -> Any:
    """Appoint the delegate whose key the platform made for a device, inside bounds and a mandate.

    It answers in the sessions of listings that name it as the owner's agent, until its time is over or the
    mandate is revoked (`POST /v1/revocations`), which erases its key.
    """
    return call("negotiation", "appoint_delegate", wire(body))


@routes.post("/quotes/<quote_id>/decisions", operation_id="read_delegate", responses={200: DelegateStory})
def read_delegate(path: QuotePath, body: SignedInquiry) -> Response:
    """Return what a delegate did in a session, and why, to the owner who signed the question just now.

    The answer is kept nowhere, not even under an Idempotency-Key.
    """
    answer = jsonify(call("negotiation", "get_delegate_moves", path.quote_id, wire(body)))
    answer.headers["Cache-Control"] = "no-store"
    return answer
