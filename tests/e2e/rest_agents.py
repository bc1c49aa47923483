"""Two agents that know the marketplace's REST API and the protocol's page, and none of this project's code.

``python rest_agents.py GATEWAY`` has an owner's agent and a renter's agent register, ask, bargain and sign,
with an HTTP client, JSON and an Ethereum key library. It prints one JSON object: what was agreed, and which
modules of ours were loaded on the way.
"""

import json
import secrets
import sys
import time
from typing import Any

import httpx
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

Json = dict[str, Any]
WITHIN_SECONDS = 60.0
SECONDS, CEILING_SECONDS, GRACE = 1_200, 60, 30
WATTS = 50  # the most that the machine can draw, in joules a second
FLAT, RATE, PER = 10_000, 3, 1  # base units at once, and for each joule
TYPES = {
    "BrokerAccess": [
        ("bytes32", "broker"), ("bytes32", "device"), ("bytes32", "rental_id"), ("uint64", "at_ms"),
        ("bytes32", "nonce"),
    ],
    "Mandate": [
        ("bytes", "agent"), ("bytes32", "limits"), ("uint40", "valid_until"), ("bytes32", "revocation"),
    ],
    "Possession": [
        ("address", "owner"), ("address", "registry"), ("bytes32", "device"), ("bytes32", "metadata"),
        ("uint40", "valid_until"),
    ],
    "Heartbeat": [("bytes32", "device"), ("uint40", "at")],
    "Listing": [("bytes32", "device"), ("bytes32", "document"), ("uint40", "valid_until")],
    "Quote": [("bytes32", "document")],
    "Offer": [
        ("bytes32", "document"), ("bytes32", "previous"), ("uint8", "round"), ("uint40", "valid_until"),
    ],
    "Agreement": [("Pay", "pay"), ("Rules", "rules")],
    "Pay": [
        ("bytes", "owner"), ("bytes", "renter_agent"), ("bytes", "meter"), ("address", "token"),
        ("address", "fee_to"), ("uint16", "fee_bps"), ("uint96", "max_total"), ("uint96", "block_max"),
        ("uint96", "max_rate_per_hour"), ("uint40", "start_at"), ("uint32", "claim_window"),
    ],
    "Rules": [
        ("bytes", "renter"), ("bytes", "owner_agent"), ("address", "arbiter"), ("uint96", "deposit"),
        ("uint40", "fund_by"), ("uint40", "end_by"), ("uint32", "notice"), ("uint32", "challenge_window"),
        ("Detail", "detail"),
    ],
    "Detail": [
        ("bytes32", "device"), ("bytes32", "offer"), ("bytes32", "tariff"), ("string", "rail"),
        ("string", "currency"), ("uint32", "ceiling_seconds"), ("uint32", "grace"), ("bytes32", "salt"),
    ],
    "EIP712Domain": [
        ("string", "name"), ("string", "version"), ("uint256", "chainId"), ("address", "verifyingContract"),
    ],
}  # fmt: skip


def document_hash(document: Json) -> str:
    """Return the hash of a JSON document's RFC 8785 bytes; everything here is ASCII."""
    return "0x" + keccak(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hex()


class Key:
    """A key that signs typed data in the marketplace's domain."""

    def __init__(self) -> None:
        self.account = Account.create()
        self.address: str = self.account.address.lower()

    def sign(self, platform: Json, primary: str, message: Json, *, contract: str | None = None) -> str:
        """Return the signature of a message."""
        signable = typed(platform, primary, message, contract=contract)
        signature: bytes = self.account.sign_message(signable).signature
        return "0x" + bytes(signature).hex()


def typed(platform: Json, primary: str, message: Json, *, contract: str | None = None) -> Any:
    """Return a message as it is signed."""
    names = {"Agreement": ("Agreement", "Pay", "Rules", "Detail")}.get(primary, (primary,))
    types = {
        name: [{"type": kind, "name": member} for kind, member in TYPES[name]]
        for name in ("EIP712Domain", *names)
    }
    domain = {
        "name": "Hireling",
        "version": "1",
        "chainId": int(platform["chain_id"]),
        "verifyingContract": contract or platform["escrow"],
    }
    whole = {"types": types, "primaryType": primary, "domain": domain, "message": message}
    return encode_typed_data(full_message=whole)


class Api:
    """The marketplace over HTTP."""

    def __init__(self, gateway: str) -> None:
        self.http = httpx.Client(base_url=gateway, timeout=20)

    def get(self, path: str) -> Any:
        """GET JSON."""
        return self.http.get(path).raise_for_status().json()

    def post(self, path: str, body: Json) -> Any:
        """POST JSON."""
        answer = self.http.post(path, json=body)
        if answer.is_error:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
        return answer.json()


def tariff(platform: Json, percent: int) -> Json:
    """Return the listed tariff at so many percent of its price: 10 of them make a whole number of units."""
    per = PER * 100 // percent_gcd(RATE * percent)
    return {
        "currency": platform["token"]["symbol"],
        "counters": [{"name": "energy_J", "unit": "J", "max_per_second": str(WATTS)}],
        "flat": str(FLAT * percent // 100),
        "rates": [
            {
                "kind": "use",
                "counter": "energy_J",
                "rate": str(RATE * percent // percent_gcd(RATE * percent)),
                "per": str(per),
            }
        ],
        "minimum": "0",
        "maximum": None,
    }


def percent_gcd(product: int) -> int:
    """Return what product / 100 is shortened by: a scaled rate stays exact, in its shortest form."""
    low, high = product, 100
    while low:
        low, high = high % low, low
    return high


def amounts(price: Json, seconds: int) -> Json:
    """Return what follows from a tariff and a duration."""
    (rate,) = price["rates"]
    rate_, per, flat = int(rate["rate"]), int(rate["per"]), int(price["flat"])
    hour = -(-rate_ * WATTS * 3600 // per)
    assert rate_ * WATTS * seconds % per == 0
    return {
        "max_total": str(flat + rate_ * WATTS * seconds // per),
        "max_rate_per_hour": str(hour),
        "block_max": str(flat - (-hour * CEILING_SECONDS // 3600)),
    }


class OwnerAgent:
    """An owner, its agent and its machine's meter."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.platform = api.get("/v1/platform")
        self.owner, self.agent, self.meter = Key(), Key(), Key()
        self.device = "0x" + keccak(hexstr=self.meter.address).hex()
        self.listing = self._listing()

    def arrive(self) -> None:
        """Register the machine, list it, give a sign of life."""
        limits = {
            "per_rental": str(10**12), "total": str(10**12), "max_rate_per_hour": str(10**12),
            "price_floor_percent": 80, "kinds": [], "arbiters": [], "tokens": [], "max_fee_bps": "1000",
            "longest_notice": "86400", "longest_claim_window": "86400", "longest_challenge_window": "86400",
            "approval_above": None,
        }  # fmt: skip
        valid_until = str(int(time.time()) + 3_600)
        mandate = {
            "agent": self.agent.address,
            "limits": document_hash(limits),
            "valid_until": valid_until,
            "revocation": "0x" + secrets.token_hex(32),
        }
        metadata = document_hash({"title": self.listing["title"]})
        possession = {
            "owner": self.owner.address,
            "registry": self.platform["registry"],
            "device": self.device,
            "metadata": metadata,
            "valid_until": valid_until,
        }
        registration = {
            "meter": self.meter.address,
            "owner": self.owner.address,
            "owner_agent": self.agent.address,
            "mandate": {
                "principal": self.owner.address,
                "mandate": mandate,
                "limits": limits,
                "signature": self.owner.sign(self.platform, "Mandate", mandate),
            },
            "metadata_hash": metadata,
            "valid_until": valid_until,
            "possession": self.meter.sign(
                self.platform, "Possession", possession, contract=self.platform["registry"]
            ),
        }
        self.api.post("/v1/devices", registration)
        until = time.monotonic() + WITHIN_SECONDS
        while not self.api.get(f"/v1/devices/{self.device}")["registered"]:
            if time.monotonic() > until:
                raise TimeoutError("the machine was not registered on the chain")
            time.sleep(0.2)
        signed = {
            "device": self.device,
            "document": document_hash(self.listing),
            "valid_until": self.listing["valid_until"],
        }
        signature = self.agent.sign(self.platform, "Listing", signed)
        self.api.post("/v1/listings", {"document": self.listing, "signature": signature})
        beat = {"device": self.device, "at": str(int(time.time()))}
        signature = self.meter.sign(self.platform, "Heartbeat", beat)
        self.api.post(f"/v1/devices/{self.device}/heartbeats", {"heartbeat": beat, "signature": signature})

    def make_first_offer(self) -> Json:
        """Answer the question that waits with the listed price."""
        (quote,) = self.api.get(f"/v1/devices/{self.device}/work")["quotes"]
        return offer_over(self.api, self.agent, self.platform, self.first_offer(quote))

    def first_offer(self, quote: Json) -> Json:
        """Return the listed price for what was asked."""
        request, now = quote["request"], int(time.time())
        start_at = int(request["start_at"]) // 900 * 900
        fund_by = now + 900
        price = tariff(self.platform, 100)
        platform, listing = self.platform, self.listing
        return {
            "quote_id": quote["quote_id"],
            "previous": document_hash(request),
            "round": "0",
            "seconds": request["seconds"],
            "budget": request["budget"],
            "renter": request["renter"],
            "renter_agent": request["renter_agent"],
            "tariff": price,
            "rail": "token",
            "chain_id": str(platform["chain_id"]),
            "token": platform["token"]["address"],
            **{name: platform[name] for name in ("escrow", "fee_to", "arbiter")},
            "fee_bps": str(platform["fee_bps"]),
            **{name: listing[name] for name in LISTED},
            **amounts(price, int(request["seconds"])),
            "start_at": str(start_at),
            "fund_by": str(fund_by),
            "end_by": str(max(fund_by, start_at) + int(request["seconds"]) + GRACE),
            "salt": "0x" + secrets.token_hex(32),
            "valid_until": str(now + 120),
        }

    def _listing(self) -> Json:
        return {
            "device": self.device,
            "owner": self.owner.address,
            "owner_agent": self.agent.address,
            "meter": self.meter.address,
            "title": "A machine by REST",
            "kind": "appliance",
            "thing": {"title": "A machine by REST"},
            "place": None,
            "tariff": tariff(self.platform, 100),
            "agenda": {
                "rounds": 8,
                "price": [100, 90, 80, 70],
                "duration": [100, 75, 50],
                "start": ["0"],
                "deposit": [100, 50],
                "cap": [100],
            },
            "deposit": "50000",
            "time_factor": "1",
            "ceiling_seconds": str(CEILING_SECONDS),
            "grace": str(GRACE),
            "notice": "120",
            "claim_window": "3600",
            "challenge_window": "3600",
            "max_seconds": "86400",
            "valid_until": str(int(time.time()) + 3_600),
        }


LISTED = (
    "device", "owner", "owner_agent", "meter", "deposit", "notice", "claim_window", "challenge_window",
    "ceiling_seconds", "grace",
)  # fmt: skip


class RenterAgent:
    """A renter's wallet and its session key."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.platform = api.get("/v1/platform")
        self.wallet, self.session = Key(), Key()

    def ask(self, device: str) -> str:
        """Ask the machine for its price; return the session's id."""
        found = self.api.get("/v1/listings?q=REST")["items"]
        (listed,) = [each for each in found if each["document"]["device"] == device]
        request = {
            "device": listed["document"]["device"],
            "listing": listed["listing"],
            "renter": self.wallet.address,
            "renter_agent": self.session.address,
            "seconds": str(SECONDS),
            "budget": None,
            "start_at": str(int(time.time())),
        }
        signature = self.session.sign(self.platform, "Quote", {"document": document_hash(request)})
        quote = self.api.post("/v1/quotes", {"request": request, "signature": signature})
        return str(quote["quote_id"])

    def counter(self, quote_id: str) -> Json:
        """Ask for better terms than the last ones."""
        last = self.api.get(f"/v1/quotes/{quote_id}")["offers"][-1]["offer"]
        return offer_over(self.api, self.session, self.platform, self.better(last))

    def better(self, last: Json) -> Json:
        """Return a tenth off and half of the deposit, for three quarters of the time."""
        price, seconds = tariff(self.platform, 90), SECONDS * 75 // 100
        return {
            **last,
            "previous": document_hash(last),
            "round": str(int(last["round"]) + 1),
            "tariff": price,
            "seconds": str(seconds),
            "deposit": str(int(last["deposit"]) // 2),
            **amounts(price, seconds),
            "end_by": str(max(int(last["fund_by"]), int(last["start_at"])) + seconds + GRACE),
            "valid_until": str(int(time.time()) + 120),
        }


def offer_over(api: Api, key: Key, platform: Json, offer: Json) -> Json:
    """Sign an offer and put it on the table; return it."""
    api.post(f"/v1/quotes/{offer['quote_id']}/offers", signed_offer(key, platform, offer))
    return offer


def signed_offer(key: Key, platform: Json, offer: Json) -> Json:
    """Return an offer with its proposer's signature."""
    envelope = {
        "document": document_hash(offer),
        "previous": offer["previous"],
        "round": offer["round"],
        "valid_until": offer["valid_until"],
    }
    return {"offer": offer, "signature": key.sign(platform, "Offer", envelope)}


def agreement_of(offer: Json) -> Json:
    """Return the agreement that an offer makes."""
    detail = {
        **{member: offer[member] for _, member in TYPES["Detail"] if member in offer},
        "offer": document_hash(offer),
        "tariff": document_hash(offer["tariff"]),
        "currency": offer["tariff"]["currency"],
    }
    rules = {member: offer[member] for _, member in TYPES["Rules"] if member in offer}
    pay = {member: offer[member] for _, member in TYPES["Pay"]}
    return {"pay": pay, "rules": {**rules, "detail": detail}}


def sign_agreement(api: Api, key: Key, platform: Json, offer: Json, *, by: str) -> Json:
    """Sign the agreement that an offer makes; return the session."""
    body = {"quote_id": offer["quote_id"], "by": by, **signature_over(key, platform, offer)}
    answer: Json = api.post("/v1/agreements", body)
    return answer


def signature_over(key: Key, platform: Json, offer: Json) -> Json:
    """Return a signature over the agreement that an offer makes, and the offer's hash."""
    signature = key.sign(platform, "Agreement", agreement_of(offer))
    return {"offer": document_hash(offer), "signature": signature}


def told_of(api: Api, quote_id: str, offer: Json, agreed: Json) -> Json:
    """Return what is to be told of a session that came to an agreement."""
    signable = typed(api.get("/v1/platform"), "Agreement", agreement_of(offer))
    rental_id = keccak(b"\x19" + signable.version + signable.header + signable.body)
    return {
        "status": agreed["status"],
        "rental_id": agreed["rental_id"],
        "own_rental_id": "0x" + rental_id.hex(),
        "agreement": api.get(f"/v1/agreements/{agreed['rental_id']}"),
        "offer": offer,
        "quote_id": quote_id,
        "ours": sorted(name for name in sys.modules if name.split(".")[0] in {"hireling", "services"}),
    }


def main() -> None:
    """Have both agents come to terms."""
    api = Api(sys.argv[1])
    owner, renter = OwnerAgent(api), RenterAgent(api)
    owner.arrive()
    quote_id = renter.ask(owner.device)
    owner.make_first_offer()
    offer = renter.counter(quote_id)
    sign_agreement(api, owner.agent, owner.platform, offer, by="owner")
    agreed = sign_agreement(api, renter.wallet, renter.platform, offer, by="renter")
    print(json.dumps(told_of(api, quote_id, offer, agreed)))  # noqa: T201  its one answer


if __name__ == "__main__":
    main()
