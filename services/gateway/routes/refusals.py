"""Quarantine: what did not count and why, for a device's owner and for the operator."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import DevicePath, RefusalSearch, RefusalsOfDevice, problems
from services.gateway.rpc import call, wire
from services.messages.metering import RefusedMessage
from services.messages.page import Page

routes = APIBlueprint(
    "refusals", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="refusals")]
)


@routes.get("/refusals", operation_id="list_refusals", responses={200: Page[RefusedMessage]})
def list_refusals(query: RefusalSearch) -> Any:
    """Return a page of the messages that metering refused, newest first.

    One is listed once however often it is sent, and so many are kept for each rental. The bytes themselves
    stay with the platform, as evidence.
    """
    return call("metering", "list_refusals", wire(query))


@routes.get(
    "/devices/<device>/refusals", operation_id="list_device_refusals", responses={200: Page[RefusedMessage]}
)
def list_device_refusals(path: DevicePath, query: RefusalsOfDevice) -> Any:
    """Return a page of what was refused on a device's topics, newest first."""
    return call("metering", "list_refusals", {**wire(query), **wire(path)})
