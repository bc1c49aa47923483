"""A marketplace in one object.

The HTTP contract, the chain's answers and the ingest that agents need, over a real broker.

It keeps the rules that agents depend on (turns, signatures, contiguous durable readings, two halves of a
close) and lets a test break its line: lose, repeat, refuse. The whole marketplace itself runs in tests/e2e.
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from hireling.announce import silent
from hireling.escrow_slots import RENTALS
from hireling.mqtt_line import Broker, Credentials, MqttLine
from hireling.rental.access import NO_RENTAL, SignedBrokerAccess
from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import SignedApproval
from hireling.rental.batch import ReadingBatch
from hireling.rental.bill import (
    BillTransaction,
    SignedBill,
    countersign_bill,
    make_bill,
    sign_bill,
)
from hireling.rental.broker_users import INGEST, device_user, renter_user
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close, SignedClose
from hireling.rental.escrow_math import Status
from hireling.rental.hashing import keccak256
from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedRevocation
from hireling.rental.offer import QuoteRequest, SignedOffer, agreement_from
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import Domain, to_hex
from hireling.renter.wallet import EIP712_DOMAIN
from services.metering.access import check_wish, hash_of, new_challenge, new_password
from tests.fakes.door import Named
from tests.unit.agent.rentals import PARTIES, key

CHAIN_ID = 31337
ESCROW, REGISTRY, TOKEN = (bytes([number]) * 20 for number in (0x11, 0x12, 0x22))
TX_HASH = bytes.fromhex("aa" * 32)
TAKEN = ("readings", "batches", "ceilings")
FLAG = {"code": "gap", "reason": "no reading for 700 s", "acknowledged": False, "holds": True}


def _text(value: str) -> bytes:
    return len(value).to_bytes(32) + value.encode().ljust(32, b"\0")


TOKEN_DOMAIN = b"".join(
    (
        b"\x0f".ljust(32, b"\0"), (224).to_bytes(32), (288).to_bytes(32), CHAIN_ID.to_bytes(32),
        TOKEN.rjust(32, b"\0"), bytes(32), (352).to_bytes(32), _text("Test Dollar"), _text("1"), bytes(32),
    )
)  # fmt: skip


@dataclass
class Quote:
    """A bargaining session."""

    quote_id: str
    request: QuoteRequest
    offers: list[SignedOffer] = field(default_factory=list)
    signatures: dict[str, bytes] = field(default_factory=dict)

    @property
    def agreement(self) -> SignedAgreement:
        offer = self.offers[-1].offer
        return SignedAgreement(
            domain=offer.domain,
            agreement=agreement_from(offer),
            offer=offer,
            owner_signature=self.signatures["owner"],
            renter_signature=self.signatures["renter"],
        )

    @property
    def is_agreed(self) -> bool:
        return len(self.signatures) == 2

    def view(self) -> dict[str, Any]:
        if self.is_agreed:
            turn = "none"
        elif self.signatures:
            turn = "renter" if "owner" in self.signatures else "owner"
        else:
            turn = "owner" if len(self.offers) % 2 == 0 else "renter"
        return {
            "quote_id": self.quote_id,
            "status": "agreed" if self.is_agreed else "open",
            "turn": turn,
            "request": self.request.model_dump(mode="json"),
            "offers": [offer.model_dump(mode="json") for offer in self.offers],
            "signed_by": sorted(self.signatures),
            "rental_id": to_hex(self.agreement.rental_id) if self.is_agreed else None,
        }


@dataclass
class Rental:
    """A rental, its readings and its end."""

    agreement: SignedAgreement
    quote_id: str
    chain: ReadingChain
    state: State = State.AGREED
    readings: list[SignedReading] = field(default_factory=list)
    ceiling: SignedCeiling | None = None
    halves: dict[str, tuple[Close, bytes]] = field(default_factory=dict)
    bill: SignedBill | None = None

    def view(self) -> dict[str, Any]:
        total = self.bill.bill.total if self.bill else 0
        return {
            "rental_id": to_hex(self.agreement.rental_id),
            "quote_id": self.quote_id,
            "state": self.state.value,
            "progress": list(State).index(self.state) + len(self.halves) + (self.bill is not None),
            "device": to_hex(self.agreement.offer.device),
            "agreement": self.agreement.agreement.model_dump(mode="json"),
            "seq": self.readings[-1].reading.seq if self.readings else None,
            "amount_due": str(self.readings[-1].reading.amount_due if self.readings else 0),
            "acknowledged": "0",
            "funded": str(self.agreement.agreement.pay.max_total),
            "claimed": str(total),
            "fee": str(self.bill.bill.fee if self.bill else 0),
            "refund": str(self.bill.bill.refund if self.bill else 0),
            "transactions": [{"kind": "open", "status": "confirmed", "hash": to_hex(TX_HASH)}],
            "closes_by": sorted(self.halves),
            "refusals": 0,
            "bill": self.bill is not None,
            "countersigned": self.bill is not None and self.bill.countersignature is not None,
        }


class NotFound(Exception):
    """There is no such thing."""


class Conflict(Exception):
    """It is not so; the message is the code."""


class Marketplace:
    """The whole marketplace, for one device."""

    def __init__(self, broker: Broker, names: dict[str, str]) -> None:
        """`names` are the broker's users, with what is kept of their passwords."""
        self.broker = broker
        self.names = names
        self.challenges: set[bytes] = set()
        self.bill_key = key(77)
        self.is_down = False
        """While true, nothing answers over HTTP."""
        self.hears: Callable[[SignedReading], bool] = lambda signed: True
        """Whether a reading reaches the ingest; a test loses messages with it."""
        self.delivered: list[int] = []
        """Every number that arrived, repetitions included."""
        self.flagged: list[int] = []
        """Numbers of readings that look wrong."""
        self.listings: dict[str, SignedListing] = {}
        self.approvals: list[SignedApproval] = []
        self.revocations: list[SignedRevocation] = []
        self.quotes: dict[str, Quote] = {}
        self.rentals: dict[str, Rental] = {}
        self.lost: dict[str, Rental] = {}
        """What it knew before it was restored from a backup; the chain still does."""
        self.loses_what_is_funded = False
        """While true, it is restored once, just after an escrow was opened, and before it told so."""
        self.loses_what_is_paid = False
        """While true, it is restored just after a rental was paid out, and before anybody has its bill."""
        self.has_other_terms = False
        """While true, its terms are others than those it lost, and it takes nothing back."""
        password = new_password()
        self.names[INGEST] = hash_of(password)
        self.line = MqttLine(
            broker,
            topics=[f"hireling/+/{kind}" for kind in TAKEN],
            announce=silent,
            entry=Named(Credentials(INGEST, password)),
        )
        self._outgoing: list[tuple[str, str]] = []
        # A chain on which a block comes with every question.
        self._blocks = itertools.count(100)

    @property
    def http(self) -> httpx.MockTransport:
        """Return the marketplace's HTTP side."""
        return httpx.MockTransport(self._answer)

    @property
    def node(self) -> httpx.MockTransport:
        """Return the chain's node."""
        return httpx.MockTransport(self._answer_rpc)

    # -- ingest
    # --------------------------------------------------------------------------------------------------

    def on_line_up(self) -> None: ...

    def on_message(self, topic: str, payload: bytes) -> None:
        """Take readings in, contiguous and durable, or a ceiling."""
        device = topic.split("/")[1]
        if topic.endswith("/ceilings"):
            ceiling = SignedCeiling.model_validate_json(payload)
            self._take_ceiling(to_hex(ceiling.ceiling.rental_id), ceiling)
            return
        if topic.endswith("/batches"):
            for each in ReadingBatch.model_validate_json(payload).readings:
                self._take_reading(device, each)
            return
        self._take_reading(device, SignedReading.model_validate_json(payload))

    def _take_reading(self, device: str, signed: SignedReading) -> None:
        rental = self.rentals.get(to_hex(signed.reading.rental_id))
        if rental is None:
            return
        self.delivered.append(signed.reading.seq)
        if signed.reading.seq in self.flagged and signed.reading.seq == rental.chain.next_seq:
            said = {name: FLAG[name] for name in ("code", "reason")}
            notice = {"type": "flagged", "seq": str(signed.reading.seq), **said}
            self._outgoing.append((f"hireling/{device}/notices", json.dumps(notice)))
        if not self.hears(signed) or signed.reading.seq > rental.chain.next_seq:
            return
        if signed.reading.seq == rental.chain.next_seq:
            rental.chain = rental.chain.accept(signed)
            rental.readings.append(signed)
            self._settle(rental)
        else:
            # Sent again: it must be the very bytes that were accepted.
            assert rental.readings[signed.reading.seq] == signed
        rental_id = to_hex(signed.reading.rental_id)
        ack = json.dumps({"rental_id": rental_id, "seq": rental.chain.next_seq - 1})
        self._outgoing.append((f"hireling/{device}/acks", ack))

    async def publish_due(self) -> None:
        """Publish the acknowledgements and notices that are due."""
        outgoing, self._outgoing = self._outgoing, []
        for topic, payload in outgoing:
            await self.line.publish(topic, payload)

    def flag(self, seq: int) -> None:
        """Find from now on that the reading with this number looks wrong."""
        self.flagged.append(seq)

    def lose(self) -> None:
        """Be as one that was restored from a backup of before."""
        self.lost.update(self.rentals)
        self.rentals.clear()

    def _notify(self, device: bytes, kind: str) -> None:
        self._outgoing.append((f"hireling/{to_hex(device)}/notices", json.dumps({"type": kind})))

    def _take_ceiling(self, rental_id: str, signed: SignedCeiling) -> None:
        rental = self.rentals.get(rental_id)
        if rental is None:
            return
        signed.check(rental.agreement.domain, rental.agreement.agreement)
        before = rental.ceiling.ceiling.max_claimable if rental.ceiling else -1
        if signed.ceiling.max_claimable > before or signed.ceiling.ack_amount:
            rental.ceiling = signed

    # -- HTTP
    # ----------------------------------------------------------------------------------------------------

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            raise httpx.ConnectError("connection refused")
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
            "principals": lambda *_: {"items": [word.model_dump(mode="json") for word in self.revocations]},
            "approvals": lambda *_: {"items": [word.model_dump(mode="json") for word in self.approvals]},
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
            "bill_signer": to_hex(self.bill_key.identity),
            "mqtt": {"host": self.broker.host, "port": self.broker.port},
            "rpc_url": "http://node",
            "confirmations": 2,
            "faucet": True,
        }

    def _enter_broker(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if parts[-1] == "challenge":
            challenge = new_challenge(self.broker.address, now=datetime.now(UTC))
            self.challenges.add(challenge.nonce)
            return challenge.model_dump(mode="json")
        wish = SignedBrokerAccess.model_validate_json(request.content)
        self.challenges.remove(wish.access.nonce)
        device, rental_id = to_hex(wish.access.device), to_hex(wish.access.rental_id)
        if wish.access.rental_id == NO_RENTAL:
            signer, name = PARTIES.meter.identity, device_user(device)
        else:
            pay = self.rentals[rental_id].agreement.agreement.pay
            signer, name = pay.renter_agent, renter_user(device)
        domain = Domain(chain_id=CHAIN_ID, escrow=ESCROW)
        check_wish(wish, broker=self.broker.address, signer=signer, domain=domain, now=datetime.now(UTC))
        password = new_password()
        self.names[name] = hash_of(password)
        return {"username": name, "password": password, "seconds": 3600}

    def _devices(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if parts[-1] == "work":
            return {
                "quotes": [quote.view() for quote in self.quotes.values() if quote.view()["turn"] == "owner"],
                "rentals": [
                    rental.view() for rental in self.rentals.values() if rental.state != State.SETTLED
                ],
            }
        device = to_hex(keccak256(bytes.fromhex(body["meter"][2:]))) if "meter" in body else parts[1]
        owner = body.get("owner", to_hex(bytes(20)))
        return {"device": device, "owner": owner, "registered": True, "tx_hash": to_hex(TX_HASH)}

    def _listings(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if request.method == "POST":
            signed = SignedListing.model_validate_json(request.content)
            signed.check(Domain(chain_id=CHAIN_ID, escrow=ESCROW))
            self.listings = {to_hex(signed.hash): signed}
            return self._listing(signed)
        return {"items": [self._listing(signed) for signed in self.listings.values()], "next": None}

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
            offer.check(Domain(chain_id=CHAIN_ID, escrow=ESCROW))
            quote = self.quotes[parts[1]]
            assert offer.offer.round == len(quote.offers)
            quote.offers.append(offer)
        elif request.method == "POST":
            quote = Quote(
                quote_id=f"quote-{len(self.quotes)}",
                request=QuoteRequest.model_validate_json(json.dumps(body["request"])),
            )
            self.quotes[quote.quote_id] = quote
        else:
            return self.quotes[parts[1]].view()
        self._notify(quote.request.device, "quote_requested")
        return quote.view()

    def _agreements(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        if request.method == "GET":
            return json.loads(self._rental(parts[1]).agreement.model_dump_json())
        if request.method == "PUT":
            if self.has_other_terms:
                raise Conflict("not_the_platforms_terms")
            if self.lost[parts[1]].state is State.SETTLED:
                raise Conflict("already_paid_out")
            self.rentals[parts[1]] = self.lost.pop(parts[1])
            return body
        quote = self.quotes[body["quote_id"]]
        assert body["offer"] == to_hex(quote.offers[-1].hash)
        quote.signatures[body["by"]] = bytes.fromhex(body["signature"][2:])
        if quote.is_agreed:
            agreement = quote.agreement
            agreement.check(datetime.now(UTC))
            chain = ReadingChain(
                rental_id=agreement.rental_id,
                meter=agreement.agreement.pay.meter,
                domain=agreement.domain,
            )
            rental = Rental(agreement=agreement, quote_id=quote.quote_id, chain=chain)
            self.rentals.setdefault(to_hex(agreement.rental_id), rental)
        self._notify(quote.request.device, "agreed")
        return quote.view()

    def _rental(self, rental_id: str) -> Rental:
        if rental_id not in self.rentals:
            raise NotFound("no such rental")
        return self.rentals[rental_id]

    def _rentals(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        rental = self._rental(parts[1])
        match parts[2:]:
            case ["funding"]:
                assert int(body["permit"]["value"]) == rental.agreement.agreement.all_in
                unconfirmed, rental.state = rental.view(), State.FUNDED
                if self.loses_what_is_funded:
                    self.loses_what_is_funded = False
                    self.lose()
                    return unconfirmed
            case ["ceilings"]:
                self._take_ceiling(parts[1], SignedCeiling.model_validate_json(request.content))
            case ["readings"]:
                after = int(request.url.params["after"])
                found = [signed for signed in rental.readings if signed.reading.seq > after]
                return {"items": [signed.model_dump(mode="json") for signed in found], "next": None}
            case ["flags"]:
                flags = [{"seq": seq, **FLAG} for seq in self.flagged]
                return {"items": flags, "next": None}
            case ["closes"]:
                close = Close.model_validate_json(json.dumps(body["close"]))
                rental.halves[body["by"]] = (close, bytes.fromhex(body["signature"][2:]))
                self._settle(rental)
            case ["bill"]:
                if rental.bill is None:
                    raise NotFound("no bill yet")
                return json.loads(rental.bill.model_dump_json())
        return rental.view()

    def _settle(self, rental: Rental) -> None:
        is_complete = rental.chain.last is not None and rental.chain.last.last
        if len(rental.halves) < 2 or rental.bill is not None or not is_complete:
            return
        (close, owner), (other, renter) = rental.halves["owner"], rental.halves["renter"]
        assert close == other
        signed = SignedClose(close=close, owner_signature=owner, renter_signature=renter)
        signed.check(rental.agreement.domain, rental.agreement.agreement)
        rental.state = State.SETTLED
        bill = make_bill(
            rental=rental.agreement,
            readings=rental.readings,
            total=close.use,
            deposit_returned=rental.agreement.agreement.rules.deposit,
            transactions=[BillTransaction(kind="close", hash=TX_HASH, block=9, gas_used=100_000)],
            issued_at=datetime.now(UTC),
            ceiling=rental.ceiling,
            close=signed,
        )
        rental.bill = sign_bill(self.bill_key, bill)
        if self.loses_what_is_paid:
            self.lose()
        self._notify(rental.agreement.offer.device, "bill_ready")

    def _countersign(self, request: httpx.Request, parts: list[str], body: Any) -> Any:
        rental = self.rentals[parts[1]]
        assert rental.bill is not None
        signature = bytes.fromhex(body["signature"][2:])
        rental.bill = rental.bill.model_copy(update={"countersignature": signature})
        return json.loads(rental.bill.model_dump_json())

    # -- the chain
    # -----------------------------------------------------------------------------------------------

    def _answer_rpc(self, request: httpx.Request) -> httpx.Response:
        call = json.loads(request.content)
        results: dict[str, Callable[[], str]] = {
            "eth_chainId": lambda: hex(CHAIN_ID),
            "eth_blockNumber": lambda: hex(next(self._blocks)),
            "eth_call": lambda: to_hex(self._view(bytes.fromhex(call["params"][0]["data"][2:]))),
        }
        return httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": results[call["method"]]()})

    def _view(self, data: bytes) -> bytes:
        if data[:4] == EIP712_DOMAIN:
            return TOKEN_DOMAIN
        assert data[:4] == RENTALS
        rental = self.rentals.get(to_hex(data[4:])) or self.lost.get(to_hex(data[4:]))
        if rental is None or rental.state is State.AGREED:
            return bytes(5 * 32)
        status = Status.DONE if rental.state is State.SETTLED else Status.OPEN
        return b"".join(number.to_bytes(32) for number in (0, 0, 0, 10_000, status))


__all__ = ["Marketplace", "countersign_bill"]
