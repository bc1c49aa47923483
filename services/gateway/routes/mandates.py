"""Mandates: a principal stops its agents, or lets them go on."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.mandate import SignedRevocation
from services.gateway.parameters import PrincipalPath, Revocations, problems
from services.gateway.rpc import call, wire

routes = APIBlueprint(
    "mandates", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="mandates")]
)


@routes.post("/revocations", operation_id="revoke_mandate", responses={200: SignedRevocation})
def revoke_mandate(body: SignedRevocation) -> Any:
    """Stop one mandate, one agent's key or every agent of the principal that signs this, or lift it again.

    From the answer on nothing is offered or signed under what it stops. Answers with the word that counts.
    """
    return call("negotiation", "revoke_mandate", wire(body))


@routes.get(
    "/principals/<principal>/revocations", operation_id="list_revocations", responses={200: Revocations}
)
def list_revocations(path: PrincipalPath) -> Any:
    """Return a principal's latest words on its agents, one a subject."""
    return {"items": call("negotiation", "list_revocations", wire(path)["principal"])}
