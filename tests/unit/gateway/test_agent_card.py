"""Agent cards, held against the official A2A SDK's own types."""

import json
from typing import Any

import pytest
from a2a.client.card_resolver import parse_agent_card
from a2a.types.a2a_pb2 import AgentCard as OfficialCard
from a2a.utils.proto_utils import validate_proto_required_fields
from google.protobuf.json_format import MessageToDict, ParseDict

from hireling.rental.agenda import Agenda
from hireling.rental.documents import document_hash
from services.gateway.agent_card import (
    RENTAL_TERMS,
    X402_RENTALS,
    AgentCard,
    Surroundings,
    device_card,
    marketplace_card,
)
from services.messages.listing import ListingView
from services.messages.settlement import PlatformView
from tests.builders import ARBITER, DOMAIN, FEE_TO, TOKEN, a_listing

HERE = Surroundings.of("https://market.example/", "1.2.3", None)
SIGNATURE = bytes(65)


def a_view(**changes: Any) -> ListingView:
    """Return a listing as the marketplace shows it."""
    document = a_listing(**changes)
    return ListingView(
        listing=document_hash(document), document=document, signature=SIGNATURE, online=True, registered=True
    )


def a_platform() -> PlatformView:
    """Return what the marketplace says of itself."""
    token = {"address": TOKEN, "symbol": "tUSD", "decimals": 6}
    return PlatformView.model_validate(
        {
            "chain_id": DOMAIN.chain_id,
            "escrow": DOMAIN.escrow,
            "registry": bytes(20),
            "token": token,
            "fee_bps": 250,
            "fee_to": FEE_TO,
            "arbiter": ARBITER,
            "bill_signer": bytes(20),
            "confirmations": 1,
            "faucet": True,
        }
    )


def written(card: AgentCard) -> dict[str, Any]:
    """Return the card as it is served."""
    found: dict[str, Any] = json.loads(card.model_dump_json(by_alias=True))
    return found


CARDS = {
    "marketplace": marketplace_card(HERE),
    "machine": device_card(a_view(), a_platform(), HERE),
    "machine with a place and an agenda": device_card(
        a_view(place={"country": "DE", "city": "Bremen"}, agenda=Agenda(duration=(100, 50))),
        a_platform(),
        HERE,
    ),
    "machine with x402": device_card(
        a_view(), a_platform(), Surroundings.of("https://market.example", "1.2.3", "https://x402.example/")
    ),
}


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
class TestAnyCard:
    def test_is_what_the_official_types_read(self, card: AgentCard) -> None:
        # Strictly: an unknown field is an error here, though clients skip it.
        official = ParseDict(written(card), OfficialCard())
        validate_proto_required_fields(official)
        assert MessageToDict(parse_agent_card(written(card))) == MessageToDict(official)

    def test_loses_nothing_in_the_official_types(self, card: AgentCard) -> None:
        said = written(card)
        read = MessageToDict(ParseDict(said, OfficialCard()))
        said["capabilities"]["extensions"] = said["capabilities"]["extensions"] or None
        read["capabilities"].setdefault("extensions", None)
        for extension in (said["capabilities"]["extensions"] or []) + (
            read["capabilities"]["extensions"] or []
        ):
            extension.setdefault("required", False)
        assert read == said


class TestDeviceCard:
    def test_names_its_own_interface_first(self) -> None:
        view = a_view()
        (interface,) = device_card(view, a_platform(), HERE).supported_interfaces
        assert interface.url == f"https://market.example/v1/devices/0x{view.document.device.hex()}/a2a"
        assert (interface.protocol_binding, interface.protocol_version) == ("JSONRPC", "1.0")

    def test_says_the_price_and_the_worst_case(self) -> None:
        rent = device_card(a_view(), a_platform(), HERE).skills[0]
        assert rent.id == "rent-appliance"
        assert "0.300000 tUSD per kWh" in rent.description
        assert "1 h costs at most 0.925205 tUSD all in, plus 0.010000 tUSD deposit" in rent.description

    def test_says_what_may_be_bargained_about(self) -> None:
        bargain = device_card(
            a_view(agenda=Agenda(price=(100,), duration=(100, 50), rounds=5)), a_platform(), HERE
        ).skills[1]
        assert "bargained about: duration. At most 5 rounds." in bargain.description

    def test_carries_the_signed_terms(self) -> None:
        view = a_view()
        (terms,) = device_card(view, a_platform(), HERE).capabilities.extensions
        assert terms.uri == RENTAL_TERMS
        assert terms.params["listing"] == f"0x{view.listing.hex()}"
        assert terms.params["signature"] == f"0x{SIGNATURE.hex()}"
        assert terms.params["tariff"] == view.document.tariff.model_dump(mode="json")

    def test_names_an_x402_front_only_where_there_is_one(self) -> None:
        with_front = CARDS["machine with x402"].capabilities.extensions
        assert [extension.uri for extension in with_front] == [RENTAL_TERMS, X402_RENTALS]
        device = a_view().document.device.hex()
        assert with_front[1].params["url"] == f"https://x402.example/devices/0x{device}/rentals"
        assert [e.uri for e in CARDS["machine"].capabilities.extensions] == [RENTAL_TERMS]

    def test_has_another_etag_when_anything_changes(self) -> None:
        tags = [device_card(a_view(title=title), a_platform(), HERE).etag for title in ("a", "a", "b")]
        assert tags[0] == tags[1] != tags[2]
