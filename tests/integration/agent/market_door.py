"""The HTTP side of the marketplace in one object."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import BaseModel

from hireling.mqtt_line import Broker
from hireling.rental.access import NO_RENTAL, SignedBrokerAccess
from hireling.rental.broker_users import device_user, renter_user
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.hashing import keccak256
from hireling.rental.listing import SignedListing
from hireling.rental.offer import QuoteRequest, SignedOffer
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.metering.access import check_wish, hash_of, new_challenge, new_password
from tests.integration.agent.market_books import FLAG, Books, NotFound
from tests.integration.agent.market_node import CHAIN_ID, DOMAIN, ESCROW, REGISTRY, TOKEN
from tests.integration.agent.market_rows import TX_HASH, Quote
from tests.unit.agent.rentals import PARTIES


class Conflict(Exception):
    """It is not so; the message is the code."""


class Door:
    """Answers requests from the books."""

    def __init__(self, books: Books, *, broker: Broker, names: dict[str, str]) -> None:
        """`names` are the broker's users, with what is kept of their passwords."""
        self._books = books
        self._broker = broker
        self._names = names
        self._challenges: set[bytes] = set()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        body = json.loads(request.content) if request.content else {}
        parts = request.url.path.removeprefix("/v1/").split("/")
        try:
            return httpx.Response(200, json=self._route(request, parts, body))
        except NotFound as error:
            problem = {"code": "not_found", "detail": str(error), "status": 404}
            return httpx.Response(404, json=problem)
        except Conflict as error:
            return httpx.Response(409, json={"code": str(error), "detail": str(error), "status": 409})

    def _route(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        routes: dict[str, Callable[[httpx.Request, list[str], Any], Any]] = {
            "platform": lambda *_: self._platform(),
            "devices": self._devices,
            "listings": self._listings,
            "quotes": self._quotes,
            "agreements": self._agreements,
            "rentals": self._rentals,
            "bills": self._countersign,
            "principals": lambda *_: _items(self._books.revocations),
            "approvals": lambda *_: _items(self._books.approvals),
            "broker": self._enter_broker,
            "wallets": lambda _, parts, __: {
                "address": parts[1], "balance": str(10**12), "credit": "0", "nonce": "0",
            },
        }  # fmt: skip
        return routes[parts[0]](request, parts, body)

    def _platform(self) -> dict[str, Any]:
        return {
            "chain_id": CHAIN_ID,
            "escrow": to_hex(ESCROW),
            "registry": to_hex(REGISTRY),
            "token": {"address": to_hex(TOKEN), "symbol": "tUSD", "decimals": 6},
            "fee_bps": 100,
            "fee_to": to_hex(bytes([0x33]) * 20),
            "arbiter": to_hex(bytes([0x44]) * 20),
            "bill_signer": to_hex(self._books.bill_key.identity),
            "mqtt": {"host": self._broker.host, "port": self._broker.port},
            "rpc_url": "http://node",
            "confirmations": 2,
            "faucet": True,
        }

    def _enter_broker(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if parts[-1] == "challenge":
            challenge = new_challenge(self._broker.address, now=datetime.now(UTC))
            self._challenges.add(challenge.nonce)
            return challenge.model_dump(mode="json")
        wish = SignedBrokerAccess.model_validate_json(request.content)
        self._challenges.remove(wish.access.nonce)
        device, rental_id = to_hex(wish.access.device), to_hex(wish.access.rental_id)
        if wish.access.rental_id == NO_RENTAL:
            signer, name = PARTIES.meter.identity, device_user(device)
        else:
            pay = self._books.rentals[rental_id].agreement.agreement.pay
            signer, name = pay.renter_agent, renter_user(device)
        check_wish(wish, broker=self._broker.address, signer=signer, domain=DOMAIN, now=datetime.now(UTC))
        password = new_password()
        self._names[name] = hash_of(password)
        return {"username": name, "password": password, "seconds": 3600}

    def _devices(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if parts[-1] == "work":
            return {
                "quotes": [
                    quote.view() for quote in self._books.quotes.values() if quote.view()["turn"] == "owner"
                ],
                "rentals": [
                    rental.view() for rental in self._books.rentals.values() if rental.state != State.SETTLED
                ],
            }
        device = to_hex(keccak256(bytes.fromhex(body["meter"][2:]))) if "meter" in body else parts[1]
        owner = body.get("owner", to_hex(bytes(20)))
        return {"device": device, "owner": owner, "registered": True, "tx_hash": to_hex(TX_HASH)}

    def _listings(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if request.method == "POST":
            signed = SignedListing.model_validate_json(request.content)
            signed.check(DOMAIN)
            self._books.listings = {to_hex(signed.hash): signed}
            return self._listing(signed)
        return {"items": [self._listing(signed) for signed in self._books.listings.values()], "next": None}

    def _listing(self, signed: SignedListing) -> dict[str, Any]:
        return {
            "listing": to_hex(signed.hash),
            **signed.model_dump(mode="json"),
            "online": True,
            "registered": True,
        }

    def _quotes(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if parts[-1] == "offers":
            offer = SignedOffer.model_validate_json(request.content)
            offer.check(DOMAIN)
            quote = self._books.quotes[parts[1]]
            assert offer.offer.round == len(quote.offers)
            quote.offers.append(offer)
        elif request.method == "POST":
            quote = Quote(
                quote_id=f"quote-{len(self._books.quotes)}",
                request=QuoteRequest.model_validate_json(json.dumps(body["request"])),
            )
            self._books.quotes[quote.quote_id] = quote
        else:
            return self._books.quotes[parts[1]].view()
        self._books.notify(quote.request.device, "quote_requested")
        return quote.view()

    def _agreements(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if request.method == "GET":
            return json.loads(self._books.rental(parts[1]).agreement.model_dump_json())
        if request.method == "PUT":
            if self._books.has_other_terms:
                raise Conflict("not_the_platforms_terms")
            if self._books.lost[parts[1]].state is State.SETTLED:
                raise Conflict("already_paid_out")
            self._books.rentals[parts[1]] = self._books.lost.pop(parts[1])
            return body
        quote = self._books.quotes[body["quote_id"]]
        assert body["offer"] == to_hex(quote.offers[-1].hash)
        quote.signatures[body["by"]] = bytes.fromhex(body["signature"][2:])
        if quote.is_agreed:
            self._books.open(quote.agreement, quote.quote_id)
        self._books.notify(quote.request.device, "agreed")
        return quote.view()

    def _rentals(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        rental = self._books.rental(parts[1])
        match parts[2:]:
            case ["funding"]:
                assert int(body["permit"]["value"]) == rental.agreement.agreement.all_in
                unconfirmed, rental.state = rental.view(), State.FUNDED
                if self._books.loses_what_is_funded:
                    self._books.loses_what_is_funded = False
                    self._books.lose()
                    return unconfirmed
            case ["ceilings"]:
                rental.take_ceiling(SignedCeiling.model_validate_json(request.content))
            case ["readings"]:
                after = int(request.url.params["after"])
                found = [signed for signed in rental.readings if signed.reading.seq > after]
                return _items(found)
            case ["flags"]:
                flags = [{"seq": seq, **FLAG} for seq in self._books.flagged]
                return {"items": flags, "next": None}
            case ["closes"]:
                close = Close.model_validate_json(json.dumps(body["close"]))
                rental.halves[body["by"]] = (close, bytes.fromhex(body["signature"][2:]))
                self._books.settle(rental)
            case ["bill"]:
                if rental.bill is None:
                    raise NotFound("no bill yet")
                return json.loads(rental.bill.model_dump_json())
        return rental.view()

    def _countersign(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        rental = self._books.rentals[parts[1]]
        assert rental.bill is not None
        signature = bytes.fromhex(body["signature"][2:])
        rental.bill = rental.bill.model_copy(update={"countersignature": signature})
        return json.loads(rental.bill.model_dump_json())


def _items(found: Iterable[BaseModel]) -> dict[str, Any]:
    return {"items": [each.model_dump(mode="json") for each in found], "next": None}
