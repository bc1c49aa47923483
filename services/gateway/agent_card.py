"""A2A agent cards: how other agents find the marketplace and its machines.

The fields are those of ``AgentCard`` in version 1.0, section 4.4 of
https://a2a-protocol.org/latest/specification/. A card says nothing that is not there: one interface, which
works, and no capability that the specification makes optional.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from hireling.rental.listing import ListingDocument
from hireling.rental.money import Token, format_amount
from hireling.rental.typed_data import to_hex
from services.gateway.web.words import all_in_words, duration_words, price_words
from services.messages.listing import ListingView
from services.messages.settlement import PlatformView

PROTOCOL_VERSION = "1.0"
JSON_RPC = "JSONRPC"
JSON = "application/json"
# What the two extensions mean is in docs/interoperability.md.
RENTAL_TERMS = "urn:hireling:a2a:rental-terms:1"
X402_RENTALS = "urn:hireling:a2a:x402-rentals:1"


class Card(BaseModel):
    """The base of a card's objects: written in camelCase, as the protocol's JSON is."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class AgentInterface(Card):
    """Where an agent is spoken to, and how."""

    url: str
    protocol_binding: str
    protocol_version: str


class AgentProvider(Card):
    """Who runs the marketplace."""

    url: str
    organization: str


class AgentExtension(Card):
    """What an agent can beyond the protocol: ``uri`` names it, ``params`` hold its facts."""

    uri: str
    description: str
    required: bool
    params: dict[str, Any]


class AgentCapabilities(Card):
    """Which of the protocol's options there are."""

    streaming: bool = False
    push_notifications: bool = False
    extended_agent_card: bool = False
    extensions: tuple[AgentExtension, ...] = ()


class AgentSkill(Card):
    """What an agent can be asked for."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...]
    examples: tuple[str, ...]
    input_modes: tuple[str, ...] = (JSON,)
    output_modes: tuple[str, ...] = (JSON,)


class AgentCard(Card):
    """An agent's own description of itself."""

    name: str
    description: str
    supported_interfaces: tuple[AgentInterface, ...]
    provider: AgentProvider
    version: str
    documentation_url: str
    capabilities: AgentCapabilities
    default_input_modes: tuple[str, ...] = (JSON,)
    default_output_modes: tuple[str, ...] = (JSON,)
    skills: tuple[AgentSkill, ...]

    @property
    def etag(self) -> str:
        """Return a hash of the content: what a client that has this very card need not fetch again."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Surroundings(Card):
    """What every card of this marketplace repeats: its address, its version, and the x402 front, if any."""

    base: str
    version: str
    x402: str | None = None

    @classmethod
    def of(cls, base: str, version: str, x402: str | None) -> Self:
        """Return them; addresses without a slash at their end."""
        return cls(base=base.rstrip("/"), version=version, x402=x402.rstrip("/") if x402 else None)

    @property
    def common(self) -> Mapping[str, Any]:
        """Return the fields that are the same on every card."""
        return {
            "provider": AgentProvider(url=self.base, organization="A Hireling marketplace"),
            "version": self.version,
            "documentation_url": f"{self.base}/openapi.json",
        }


def marketplace_card(here: Surroundings) -> AgentCard:
    """Return the marketplace's own card: where to look for machines."""
    return AgentCard(
        name="Hireling marketplace",
        description=(
            "Machines that hire themselves out and are paid by signed readings. Search for one here; each has"
            f" an agent of its own, with a card at {here.base}/v1/devices/{{device}}/agent-card.json."
        ),
        supported_interfaces=(_interface(f"{here.base}/v1/a2a"),),
        capabilities=AgentCapabilities(),
        skills=(
            AgentSkill(
                id="find-machines",
                name="Find machines for hire",
                description=(
                    'Send {"action": "search", "query": {…}} as data: every given field of the query narrows'
                    " (kind, q for words, online, limit, cursor). The answer is a page of signed listings."
                ),
                tags=("rental", "machines", "search"),
                examples=('{"action": "search", "query": {"kind": "printer", "online": true}}',),
            ),
        ),
        **here.common,
    )


def device_card(view: ListingView, platform: PlatformView, here: Surroundings) -> AgentCard:
    """Return a machine's card, made of the listing that its owner's agent signed."""
    document = view.document
    token = Token(
        address=platform.token.address,
        symbol=platform.token.symbol,
        decimals=platform.token.decimals,
        chain_id=platform.chain_id,
    )
    address = f"{here.base}/v1/devices/{to_hex(document.device)}"
    extensions = [_rental_terms(view, platform, here)]
    if here.x402 is not None:
        extensions.append(_x402_rentals(document, here.x402))
    return AgentCard(
        name=document.title,
        description=f"A machine for hire ({document.kind}{_place(document)}). It meters its own use.",
        supported_interfaces=(_interface(f"{address}/a2a"),),
        capabilities=AgentCapabilities(extensions=tuple(extensions)),
        skills=(_rent(document, token), _bargain(document, token)),
        **here.common,
    )


def _interface(url: str) -> AgentInterface:
    return AgentInterface(url=url, protocol_binding=JSON_RPC, protocol_version=PROTOCOL_VERSION)


def _rent(document: ListingDocument, token: Token) -> AgentSkill:
    price = "; ".join(price_words(document.tariff, token))
    worst = all_in_words(
        document.tariff, token, deposit=document.deposit, longest_seconds=document.max_seconds
    )
    return AgentSkill(
        id=f"rent-{document.kind}",
        name=f"Rent {document.title}",
        description=(
            f"{price}. {worst[0].upper()}{worst[1:]}. For at most {duration_words(document.max_seconds)}."
            ' Send {"action": "quote", "quote": {…}} as data, with a quote request that the renter\'s session'
            ' key signed; the answer is the session. {"action": "listing"} returns the signed listing.'
        ),
        tags=("rental", "metered", document.kind),
        examples=(
            '{"action": "listing"}',
            '{"action": "quote", "quote": {"request": {}, "signature": "0x"}}',
        ),
    )


def _bargain(document: ListingDocument, token: Token) -> AgentSkill:
    agenda = document.agenda
    open_issues = [name for name, values in agenda.issues.items() if len(values) > 1]
    issues = ", ".join(open_issues) if open_issues else "nothing: the listed price holds"
    return AgentSkill(
        id="bargain",
        name="Bargain about the terms",
        description=(
            f"What may be bargained about: {issues}. At most {agenda.rounds} rounds."
            f" The deposit is listed at {format_amount(document.deposit, token)}."
            ' {"action": "session", "quote_id": "…"} shows a session,'
            ' {"action": "offer", "quote_id": "…", "offer": {…}} makes a counter-offer,'
            ' {"action": "agreement", "agreement": {…}} signs what the last offer makes.'
        ),
        tags=("negotiation", "counter-offers", document.kind),
        examples=('{"action": "session", "quote_id": "0123"}',),
    )


def _rental_terms(view: ListingView, platform: PlatformView, here: Surroundings) -> AgentExtension:
    document = view.document
    listing = to_hex(view.listing)
    return AgentExtension(
        uri=RENTAL_TERMS,
        description=(
            "The terms that the owner's agent signed, money as decimal strings in base units. The same steps"
            " go by REST."
        ),
        required=False,
        params={
            "device": to_hex(document.device),
            "meter": to_hex(document.meter),
            "owner": to_hex(document.owner),
            "owner_agent": to_hex(document.owner_agent),
            "listing": listing,
            "listing_url": f"{here.base}/v1/listings/{listing}",
            "signature": to_hex(view.signature),
            "valid_until": document.valid_until,
            "online": view.online,
            "registered": view.registered,
            "chain_id": str(platform.chain_id),
            "escrow": to_hex(platform.escrow),
            "token": to_hex(platform.token.address),
            "fee_bps": platform.fee_bps,
            **document.model_dump(mode="json", include={"tariff", "agenda", "deposit", "max_seconds"}),
            "rest": {
                "platform": f"{here.base}/v1/platform",
                "quotes": f"{here.base}/v1/quotes",
                "agreements": f"{here.base}/v1/agreements",
            },
        },
    )


def _x402_rentals(document: ListingDocument, front: str) -> AgentExtension:
    return AgentExtension(
        uri=X402_RENTALS,
        description=(
            "Rentals at the listed price by HTTP 402 (x402 version 2, scheme exact): a renter's agent takes"
            " the payment, rents in its own name and sends back what was not used."
        ),
        required=False,
        params={"url": f"{front}/devices/{to_hex(document.device)}/rentals", "method": "POST"},
    )


def _place(document: ListingDocument) -> str:
    return f", {document.place.city}, {document.place.country}" if document.place else ""
