"""Devices: registration, signs of life, and what waits for each."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.anchoring import DeviceDay
from services.gateway.anchors import placed
from services.gateway.parameters import DevicePath, PageQuery, Work, problems
from services.gateway.rpc import call, wire
from services.messages.listing import DeviceView, Registration, SignedHeartbeat
from services.messages.negotiation import CalendarView
from services.messages.page import Page
from services.messages.settlement import RentalQuery

# As many as one page holds: an old booking must not be hidden by newer bills that nobody countersigned.
MOST_AT_WORK = 200

routes = APIBlueprint(
    "devices", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="devices")]
)


@routes.post("/devices", operation_id="register_device", responses={200: DeviceView})
def register_device(body: Registration) -> Any:
    """Admit a device that proves its meter and its owner's mandate. Its registration on the chain follows."""
    return call("listing", "register_device", wire(body))


@routes.get("/devices", operation_id="list_devices", responses={200: Page[DeviceView]})
def list_devices(query: PageQuery) -> Any:
    """Return a page of devices, newest first."""
    return call("listing", "list_devices", query.cursor, query.limit)


@routes.get("/devices/<device>", operation_id="get_device", responses={200: DeviceView})
def get_device(path: DevicePath) -> Any:
    """Return one device."""
    return call("listing", "get_device", wire(path)["device"])


@routes.get("/devices/<device>/calendar", operation_id="get_calendar", responses={200: CalendarView})
def get_calendar(path: DevicePath) -> Any:
    """Return when the device is promised, and not to whom."""
    return call("negotiation", "get_calendar", wire(path)["device"])


@routes.get("/devices/<device>/days", operation_id="list_days", responses={200: Page[DeviceDay]})
def list_days(path: DevicePath, query: PageQuery) -> Any:
    """Return a page of the device's daily roots, newest first; none for a device that never measured."""
    page = call("metering", "get_days", wire(path)["device"], query.cursor, query.limit)
    return {**page, "items": [placed(day) for day in page["items"]]}


@routes.post("/devices/<device>/heartbeats", operation_id="send_heartbeat", responses={200: DeviceView})
def send_heartbeat(path: DevicePath, body: SignedHeartbeat) -> Any:
    """Note a device's sign of life, signed by its meter. It is online for 30 s from then on."""
    return call("listing", "heartbeat", wire(path)["device"], wire(body))


@routes.get("/devices/<device>/work", operation_id="get_work", responses={200: Work})
def get_work(path: DevicePath) -> Any:
    """Return what waits for the device's agent, so that a lost notice only delays."""
    device = wire(path)["device"]
    quotes = call("negotiation", "list_open_quotes", device)
    unfinished = RentalQuery(device=path.device, unfinished=True, limit=MOST_AT_WORK)
    rentals = call("settlement", "list_rentals", wire(unfinished))["items"]
    return {"quotes": quotes, "rentals": rentals}
