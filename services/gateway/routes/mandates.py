"""Mandates: a principal stops its agents, lets them go on, or lets one sign above its threshold."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.approval import SignedApproval
from hireling.rental.mandate import SignedRevocation
from services.gateway.parameters import Approvals, PrincipalPath, RentalPath, Revocations, problems
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


@routes.post("/approvals", operation_id="approve_rental", responses={200: SignedApproval})
def approve_rental(body: SignedApproval) -> Any:
    """Let an agent sign one rental above its mandate's approval threshold, or forbid it.

    The first word of a principal on a rental counts; answers with it.
    """
    return call("negotiation", "approve_rental", wire(body))


@routes.get("/approvals/<rental_id>", operation_id="list_approvals", responses={200: Approvals})
def list_approvals(path: RentalPath) -> Any:
    """Return what principals said of a rental that needs their word."""
    return {"items": call("negotiation", "list_approvals", wire(path)["rental_id"])}


@routes.get(
    "/principals/<principal>/revocations", operation_id="list_revocations", responses={200: Revocations}
)
def list_revocations(path: PrincipalPath) -> Any:
    """Return a principal's latest words on its agents, one a subject."""
    return {"items": call("negotiation", "list_revocations", wire(path)["principal"])}
