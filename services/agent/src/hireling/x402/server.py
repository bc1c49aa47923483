"""The front over HTTP: a small server of threads that hand each request to the agent's loop.

POST /devices/{device}/rentals      402 with what to pay; with a payment, a rental
GET  /rentals/{payment}             how it stands: paid = spent + fee + refund, once it is done
POST /rentals/{payment}/stop        stop the machine, with the token as ``Authorization: Bearer``
"""

import asyncio
import json
import re
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hireling.json_rpc import ChainUnreachable
from hireling.platform_errors import PlatformError, PlatformNotFound
from hireling.rental.errors import RentalError
from hireling.x402.carrier import Carrier
from hireling.x402.desk import BadWish, Desk, Full, NotForHire, Offer, Taken, wish_of
from hireling.x402.payments import Payment
from hireling.x402.register import Register
from hireling.x402.words import (
    REQUIRED,
    RESPONSE,
    SIGNATURE,
    InvalidPayment,
    PaymentRequired,
    SettlementResponse,
    to_header,
)

ANSWER_WITHIN_SECONDS = 90.0
PATIENCE_SECONDS = 120.0
IDLE_SECONDS = 30
LARGEST_BODY_BYTES = 10_000
MOST_AT_ONCE = 64
# Whoever repeats a payment more often is told at once how it stands.
MOST_WAITING_FOR_ONE = 2
RENTALS = re.compile(r"/devices/0x([0-9a-f]{64})/rentals")
PAYMENT = re.compile(r"/rentals/(0x[0-9a-f]{64})(/stop)?")


@dataclass(frozen=True)
class Request:
    """What was asked; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What is answered, as JSON."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: int, code: str, detail: str) -> Answer:
    """Return an error."""
    return Answer(status, {"status": status, "code": code, "detail": detail})


class Doors:
    """Routes requests to the desk and says what became of payments."""

    def __init__(
        self, desk: Desk, register: Register, carrier: Carrier, *, network: str, public_url: str | None
    ) -> None:
        self._desk = desk
        self._register = register
        self._carrier = carrier
        self._network = network
        self._waiting: Counter[str] = Counter()
        self._public_url = public_url.rstrip("/") if public_url else None

    async def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        try:
            if (found := RENTALS.fullmatch(request.path)) and request.method == "POST":
                return await self._rent(bytes.fromhex(found[1]), request)
            if found := PAYMENT.fullmatch(request.path):
                return self._payment(found[1], request, to_stop=found[2] is not None)
        except BadWish as error:
            return problem(422, "invalid", str(error))
        except PlatformNotFound as error:
            return problem(404, error.code, error.detail)
        except (NotForHire, RentalError) as error:
            return problem(409, "not_for_hire", str(error))
        except Full as error:
            return problem(503, "too_many_payments", str(error))
        except (PlatformError, ChainUnreachable) as error:
            return problem(503, "unavailable", str(error))
        return problem(404, "not_found", f"there is no {request.method} {request.path}")

    async def _rent(self, device: bytes, request: Request) -> Answer:
        wish = wish_of(request.body)
        header = request.headers.get(SIGNATURE.lower())
        try:
            known = self._desk.known(header, device) if header else None
        except InvalidPayment as error:
            return problem(400, error.code, str(error))
        if known is not None:
            return await self._told(known)
        base = self._public_url or f"http://{request.headers.get('host', '')}"
        offer = await self._desk.offer(device, wish, url=f"{base}{request.path}")
        if header is None:
            return _required(offer, f"{SIGNATURE} header is required")
        try:
            taken = await self._desk.take(header, offer, wish)
        except InvalidPayment as error:
            return _required(offer, f"{error.code}: {error}")
        return await self._told(taken)

    async def _told(self, taken: Taken) -> Answer:
        """Wait until there is a rental, or until it is clear that there will be none, and say so."""
        payment = await self._news_of(taken.payment)
        body = view_of(payment)
        if taken.stop_token is not None:
            body["stop_token"] = taken.stop_token
        headers = {"Location": f"/rentals/{payment.id}", "Cache-Control": "no-store"}
        if payment.stage == "void" or payment.given_up:
            return Answer(402, body, {**headers, RESPONSE: to_header(self._settlement(payment))})
        if payment.settlement is None:
            return Answer(202, body, headers)
        headers[RESPONSE] = to_header(self._settlement(payment))
        if payment.rental_id is not None:
            return Answer(201, body, headers)
        return Answer(409 if payment.stage in {"over", "done"} else 202, body, headers)

    async def _news_of(self, payment: Payment) -> Payment:
        if self._waiting[payment.id] >= MOST_WAITING_FOR_ONE:
            return self._register.latest(payment)
        self._waiting[payment.id] += 1
        try:
            return await self._register.until(payment, _is_news, within=ANSWER_WITHIN_SECONDS)
        finally:
            self._waiting -= Counter((payment.id,))

    def _settlement(self, payment: Payment) -> SettlementResponse:
        is_settled = payment.settlement is not None
        signed = payment.authorization
        return SettlementResponse(
            success=is_settled and not payment.given_up,
            error_reason=payment.reason if not is_settled or payment.given_up else None,
            transaction=f"0x{payment.settlement.hex()}" if payment.settlement else "",
            network=self._network,
            payer=f"0x{signed.sender.hex()}",
            amount=str(signed.value) if is_settled else None,
        )

    def _payment(self, payment_id: str, request: Request, *, to_stop: bool) -> Answer:
        payment = self._register.find(payment_id)
        if payment is None:
            return problem(404, "not_found", f"there is no payment {payment_id}")
        if not to_stop and request.method == "GET":
            return Answer(200, view_of(payment))
        if not to_stop or request.method != "POST":
            return problem(405, "method_not_allowed", f"{request.method} is not for {request.path}")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not self._desk.may_stop(payment, token):
            return problem(403, "wrong_token", "this is not the payment's stop token")
        self._carrier.stop_machine(payment)
        return Answer(202, view_of(payment))


def view_of(payment: Payment) -> dict[str, Any]:
    """Return what anybody may know of a payment: it is all on the chain, or will be."""
    shown = payment.model_dump(
        mode="json",
        include={
            "device", "listing", "seconds", "stage", "settlement", "rental_id", "fee", "spent", "refund",
            "refund_transaction", "reason",
        },
    )  # fmt: skip
    paid = "0" if payment.settlement is None else str(payment.authorization.value)
    payer = f"0x{payment.authorization.sender.hex()}"
    return {"payment": payment.id, "payer": payer, "paid": paid, **shown}


def _is_news(payment: Payment) -> bool:
    return payment.given_up or payment.rental_id is not None or payment.stage in {"void", "over", "done"}


def _required(offer: Offer, error: str) -> Answer:
    required = PaymentRequired(error=error, resource=offer.resource, accepts=(offer.requirements,))
    body = required.model_dump(mode="json", exclude_none=True)
    return Answer(402, body, {REQUIRED: to_header(required), "Cache-Control": "no-store"})


class Server:
    """The threads that listen; they live until `close`."""

    def __init__(self, doors: Doors, *, host: str, port: int) -> None:
        """Listen. Raises OSError where the port is taken."""
        self._loop = asyncio.get_running_loop()
        self._doors = doors
        self._at_once = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._http = ThreadingHTTPServer((host, port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._http.server_address[1])

    def ask(self, request: Request) -> Answer:
        """Return the answer, from a thread that is not the loop's."""
        if not self._at_once.acquire(blocking=False):
            return problem(503, "busy", f"{MOST_AT_ONCE} requests are being answered")
        try:
            work: Coroutine[Any, Any, Answer] = self._doors.answer(request)
            return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)
        except TookTooLong:
            return problem(504, "outcome_unknown", "ask again with the same payment")
        finally:
            self._at_once.release()

    async def close(self) -> None:
        """Listen no longer."""
        await asyncio.to_thread(self._http.shutdown)
        self._http.server_close()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection."""

        protocol_version = "HTTP/1.1"
        timeout = IDLE_SECONDS
        server_version, sys_version = "hireling", ""

        def do_GET(self) -> None:
            """Answer a GET."""
            self._answer(b"")

        def do_POST(self) -> None:
            """Answer a POST."""
            length = self.headers.get("Content-Length", "0")
            is_plain = length.isascii() and length.isdigit() and "Transfer-Encoding" not in self.headers
            if not is_plain or int(length) > LARGEST_BODY_BYTES:
                self.close_connection = True
                limit = f"a body comes whole, with its length, and has at most {LARGEST_BODY_BYTES} bytes"
                self._send(problem(413, "too_large", limit))
                return
            self._answer(self.rfile.read(int(length)))

        def _answer(self, body: bytes) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            path = self.path.partition("?")[0]
            self._send(server.ask(Request(self.command, path, headers, body)))

        def _send(self, answer: Answer) -> None:
            content = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
            """Say nothing: what happens to payments is announced."""

    return Handler
