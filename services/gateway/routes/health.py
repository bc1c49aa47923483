"""GET /health: does every service answer?"""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import Health, problems
from services.gateway.rpc import call
from services.messages.errors import HirelingError

SERVICES = ("listing", "negotiation", "metering", "settlement")

routes = APIBlueprint("health", __name__, abp_responses=problems(), abp_tags=[Tag(name="health")])


@routes.get("/health", operation_id="get_health", responses={200: Health, 503: Health})
def get_health() -> tuple[dict[str, Any], int]:
    """Return whether every service answers: 200, or 503 where one does not."""
    services = {name: _health_of(name) for name in SERVICES}
    well = all("error" not in health for health in services.values())
    return {"status": "ok" if well else "degraded", "services": services}, 200 if well else 503


def _health_of(service: str) -> dict[str, Any]:
    try:
        health: dict[str, Any] = call(service, "health")
    except HirelingError as error:
        return {"service": service, "error": f"{error.code}: {error.detail}"}
    return health
