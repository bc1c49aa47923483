"""GET /v1/platform: what an agent must know before it signs anything."""

from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import Platform, problems
from services.gateway.rpc import call
from services.gateway.settings import NeighbourSettings

routes = APIBlueprint(
    "platform", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="platform")]
)


@routes.get("/platform", operation_id="get_platform", responses={200: Platform})
def get_platform() -> dict[str, Any]:
    """Return the chain, the contracts, the token, the fee, and where to connect."""
    settings = NeighbourSettings()
    return {
        **call("settlement", "platform_terms"),
        "mqtt": asdict(settings.broker),
        "rpc_url": settings.rpc_url,
        "version": version("hireling"),
    }
