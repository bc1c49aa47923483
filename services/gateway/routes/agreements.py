"""Agreements: both sides sign the last offer's terms, and a rental exists."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from hireling.rental.agreement import SignedAgreement
from hireling.rental.typed_data import to_hex
from services.gateway.parameters import RentalPath, problems
from services.gateway.rpc import call, wire
from services.messages.errors import Invalid
from services.messages.negotiation import AgreementSignature, QuoteView

routes = APIBlueprint(
    "agreements", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="agreements")]
)


@routes.post("/agreements", operation_id="sign_agreement", responses={200: QuoteView})
def sign_agreement(body: AgreementSignature) -> Any:
    """Add one side's signature over the agreement that the session's last offer makes.

    With both there is a rental.
    """
    return call("negotiation", "sign_agreement", wire(body))


@routes.get("/agreements/<rental_id>", operation_id="get_agreement", responses={200: SignedAgreement})
def get_agreement(path: RentalPath) -> Any:
    """Return what both sides signed."""
    return call("negotiation", "get_agreement", wire(path)["rental_id"])


@routes.put("/agreements/<rental_id>", operation_id="hand_in_agreement", responses={200: SignedAgreement})
def hand_in_agreement(path: RentalPath, body: SignedAgreement) -> Any:
    """Hand in what both sides signed, where the marketplace has lost it: it was restored from a backup since.

    It counts while the escrow holds its money, on this marketplace's terms, for a device that is registered
    here. One that is known changes nothing.
    """
    if body.rental_id != path.rental_id:
        raise Invalid("other_rental", f"the agreement is of rental {to_hex(body.rental_id)}")
    return call("negotiation", "take_back_agreement", wire(body))
