"""GET /health: does every service answer?"""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.chassis.health import SERVICES, health_of_all
from services.gateway.parameters import Health, problems
from services.gateway.rpc import neighbours

routes = APIBlueprint("health", __name__, abp_responses=problems(), abp_tags=[Tag(name="health")])


@routes.get("/health", operation_id="get_health", responses={200: Health, 503: Health})
def get_health() -> tuple[dict[str, Any], int]:
    """Return whether every service answers: 200, or 503 where one does not."""
    here = neighbours()
    services = health_of_all(here.caller, SERVICES, timeout=here.settings.call_seconds)
    well = all("error" not in health for health in services.values())
    return {"status": "ok" if well else "degraded", "services": services}, 200 if well else 503
