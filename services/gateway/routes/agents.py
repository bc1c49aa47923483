"""A2A: the cards of the marketplace and its machines, and where their agents are spoken to."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeVar

from flask import Response, json, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ValidationError

from hireling.rental.offer import SignedOffer
from services.gateway.a2a import RpcRequest, RpcResponse, answer
from services.gateway.agent_card import AgentCard, Surroundings, device_card, marketplace_card
from services.gateway.parameters import DevicePath, ListingSearch, problems
from services.gateway.rpc import call, neighbours, wire
from services.messages.errors import Invalid, NotFound
from services.messages.listing import ListingView
from services.messages.negotiation import AgreementSignature, SignedQuoteRequest
from services.messages.settlement import PlatformView

CACHED_SECONDS = 60
Asked = TypeVar("Asked", bound=BaseModel)

routes = APIBlueprint("agents", __name__, abp_responses=problems(), abp_tags=[Tag(name="agents")])


@routes.get("/.well-known/agent-card.json", operation_id="get_agent_card", responses={200: AgentCard})
def get_agent_card() -> Response:
    """Return the marketplace's A2A agent card."""
    return _card(marketplace_card(_surroundings()))


@routes.get(
    "/v1/devices/<device>/agent-card.json", operation_id="get_device_agent_card", responses={200: AgentCard}
)
def get_device_agent_card(path: DevicePath) -> Response:
    """Return a machine's A2A agent card, made of its signed listing. None for one that lists nothing now."""
    view = _listing_of(wire(path)["device"])
    platform = PlatformView.model_validate(call("settlement", "platform_terms"), strict=False)
    return _card(device_card(view, platform, _surroundings()))


@routes.post("/v1/a2a", operation_id="speak_to_marketplace", responses={200: RpcResponse})
def speak_to_marketplace(body: RpcRequest) -> Any:
    """Speak A2A (JSON-RPC) to the marketplace: `search`, as its card says."""
    return answer(body, _a2a_version(), _marketplaces_act)


@routes.post("/v1/devices/<device>/a2a", operation_id="speak_to_device", responses={200: RpcResponse})
def speak_to_device(path: DevicePath, body: RpcRequest) -> Any:
    """Speak A2A (JSON-RPC) to a machine's agent: `listing`, `quote`, `session`, `offer`, `agreement`."""
    device = wire(path)["device"]
    return answer(body, _a2a_version(), lambda data: _devices_act(device, data))


def _marketplaces_act(data: dict[str, Any]) -> Any:
    if data.get("action") != "search":
        raise Invalid("unknown_action", 'the action is "search"')
    return call("listing", "search_listings", wire(_parsed(ListingSearch, data.get("query", {}))))


def _devices_act(device: str, data: dict[str, Any]) -> Any:
    acts: dict[str, Callable[[str, dict[str, Any]], Any]] = {
        "listing": lambda device, _: wire(_listing_of(device)),
        "quote": _quote,
        "session": _session,
        "offer": _offer,
        "agreement": _agreement,
    }
    act = acts.get(str(data.get("action")))
    if act is None:
        raise Invalid("unknown_action", f"the action is one of {', '.join(acts)}")
    return act(device, data)


def _quote(device: str, data: dict[str, Any]) -> Any:
    asked = wire(_parsed(SignedQuoteRequest, data.get("quote")))
    _check_device(device, asked["request"]["device"])
    return call("negotiation", "request_quote", asked)


def _session(device: str, data: dict[str, Any]) -> Any:
    quote = call("negotiation", "get_quote", str(data.get("quote_id")))
    _check_device(device, quote["request"]["device"])
    return quote


def _offer(device: str, data: dict[str, Any]) -> Any:
    quote = _session(device, data)
    return call("negotiation", "make_offer", quote["quote_id"], wire(_parsed(SignedOffer, data.get("offer"))))


def _agreement(device: str, data: dict[str, Any]) -> Any:
    signature = wire(_parsed(AgreementSignature, data.get("agreement")))
    _session(device, signature)
    return call("negotiation", "sign_agreement", signature)


def _check_device(device: str, named: str) -> None:
    if named != device:
        raise Invalid("other_device", f"this is the agent of {device}, not of {named}")


def _parsed(kind: type[Asked], said: Any) -> Asked:
    """Return what a message says. Raises Invalid, naming the first mistake."""
    try:
        return kind.model_validate_json(json.dumps(said))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Invalid("invalid", f"{where}: {first['msg']}") from error


def _listing_of(device: str) -> ListingView:
    """Return what a device offers now. Raises NotFound for one that is unknown or offers nothing."""
    listing = call("listing", "get_device", device)["listing"]
    if listing is not None:
        view = ListingView.model_validate(call("listing", "get_listing", listing), strict=False)
        if view.document.valid_until > neighbours().clock.now().timestamp():
            return view
    raise NotFound("nothing_listed", f"device {device} lists nothing now", device=device)


def _surroundings() -> Surroundings:
    settings = neighbours().settings
    return Surroundings.of(settings.public_url or request.host_url, version("hireling"), settings.x402_url)


def _a2a_version() -> str:
    return request.headers.get("A2A-Version") or request.args.get("A2A-Version", "")


def _card(card: AgentCard) -> Response:
    response = Response(card.model_dump_json(by_alias=True), mimetype="application/json")
    response.set_etag(card.etag)
    response.cache_control.public = True
    response.cache_control.max_age = CACHED_SECONDS
    response.make_conditional(request)
    return response
