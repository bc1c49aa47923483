"""GET /v1/platform: what an agent must know before it signs anything."""

from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import Platform, problems
from services.gateway.rpc import call
from services.gateway.settings import NeighbourSettings

MQTT_PORT = 1883

routes = APIBlueprint(
    "platform", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="platform")]
)


@routes.get("/platform", operation_id="get_platform", responses={200: Platform})
def get_platform() -> dict[str, Any]:
    """Return the chain, the contracts, the token, the fee, and where to connect."""
    settings = NeighbourSettings()
    broker = urlsplit(settings.mqtt_url)
    return {
        **call("settlement", "platform_terms"),
        "mqtt": {"host": broker.hostname, "port": broker.port or MQTT_PORT},
        "rpc_url": settings.rpc_url,
        "version": version("hireling"),
    }
