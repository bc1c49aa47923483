"""The official A2A client, unmodified, finds a machine by its card and agrees with it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from a2a.client.card_resolver import A2ACardResolver
from a2a.client.client import Client, ClientConfig
from a2a.client.client_factory import ClientFactory
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotFoundError,
)
from flask.testing import FlaskClient
from google.protobuf.json_format import MessageToDict, ParseDict

from hireling.rental.offer import QuoteRequest, SignedOffer
from tests.fakes.front import Front

BASE = "http://market.example"
Talk = Callable[[Client], Awaitable[Any]]


class InProcess(httpx.AsyncBaseTransport):
    """The gateway's application as what answers an httpx client."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the application."""
        answer = self._client.open(
            request.url.raw_path.decode(),
            base_url=BASE,
            method=request.method,
            headers=list(request.headers.items()),
            data=await request.aread(),
        )
        return httpx.Response(
            answer.status_code, headers=list(answer.headers.items()), content=answer.get_data()
        )


def speak(front: Front, talk: Talk, *, to: str | None = None) -> Any:
    """Find an agent by its card, the marketplace's or a device's, and have the talk with it."""

    async def spoken() -> Any:
        async with httpx.AsyncClient(transport=InProcess(front.client)) as http:
            path = f"/v1/devices/{to}/agent-card.json" if to else None
            card = await A2ACardResolver(http, BASE).get_agent_card(path)
            client = ClientFactory(ClientConfig(streaming=False, httpx_client=http)).create(card)
            return await talk(client)

    return asyncio.run(spoken())


def saying(data: dict[str, Any], *, message_id: str = "m-1") -> SendMessageRequest:
    """Return a message with one part of data."""
    part = ParseDict({"data": data, "mediaType": "application/json"}, Part())
    return SendMessageRequest(message=Message(message_id=message_id, role=Role.ROLE_USER, parts=[part]))


async def asked(client: Client, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data that the agent answers with."""
    (answer,) = [each async for each in client.send_message(saying(data))]
    assert answer.message.role == Role.ROLE_AGENT
    (part,) = answer.message.parts
    found: dict[str, Any] = MessageToDict(part)["data"]
    return found


def test_finds_a_machine_through_the_marketplaces_agent(front: Front) -> None:
    listing = front.offer_for_hire()

    async def search(client: Client) -> dict[str, Any]:
        return await asked(client, {"action": "search", "query": {"kind": listing.document.kind}})

    found = speak(front, search)
    assert [item["listing"] for item in found["items"]] == [f"0x{listing.hash.hex()}"]


def test_agrees_with_a_machine(front: Front) -> None:
    device, renter, listing = front.device, front.renter, front.offer_for_hire()

    async def quote(client: Client) -> dict[str, Any]:
        assert (await asked(client, {"action": "listing"}))["listing"] == f"0x{listing.hash.hex()}"
        question = renter.question(listing.document).model_dump(mode="json")
        return await asked(client, {"action": "quote", "quote": question})

    session = speak(front, quote, to=device.device)
    request = QuoteRequest.model_validate(
        front.get(f"/v1/quotes/{session['quote_id']}")["request"], strict=False
    )
    first = device.first_offer(request, listing.document, session["quote_id"])
    front.call("negotiation", "make_offer", session["quote_id"], first)

    async def bargain(client: Client) -> dict[str, Any]:
        shown = await asked(client, {"action": "session", "quote_id": session["quote_id"]})
        last = SignedOffer.model_validate(shown["offers"][-1], strict=False)
        counter = renter.counter_offer(last.offer)
        wanted = {
            "action": "offer",
            "quote_id": session["quote_id"],
            "offer": counter.model_dump(mode="json"),
        }
        assert (await asked(client, wanted))["turn"] == "owner"
        front.call("negotiation", "sign_agreement", device.signature(counter.offer))
        signature = renter.signature(counter.offer).model_dump(mode="json")
        return await asked(client, {"action": "agreement", "agreement": signature})

    agreed = speak(front, bargain, to=device.device)
    assert agreed["status"] == "agreed"
    front.wait_for_rental(agreed["rental_id"])


@pytest.mark.parametrize(
    "data",
    [
        {"action": "dance"},
        {"action": "quote", "quote": {"request": {}}},
        {"action": "session", "quote_id": "nobody's"},
    ],
)
def test_what_is_refused_is_an_error_with_its_reason(front: Front, data: dict[str, Any]) -> None:
    front.offer_for_hire()
    with pytest.raises(InvalidParamsError):
        speak(front, lambda client: asked(client, data), to=front.device.device)


def test_does_not_speak_for_another_machine(front: Front) -> None:
    listing = front.offer_for_hire()
    question = front.renter.question(listing.document).model_dump(mode="json")
    body = {
        "jsonrpc": "2.0",
        "id": 7,
        "method": "SendMessage",
        "params": {
            "message": {
                "messageId": "m",
                "role": "ROLE_USER",
                "parts": [{"data": {"action": "quote", "quote": question}}],
            }
        },
    }
    answer = front.post("/v1/devices/0x" + "00" * 32 + "/a2a", body, A2A_Version="1.0").json
    assert answer is not None
    assert (answer["id"], answer["error"]["data"][0]["reason"]) == (7, "OTHER_DEVICE")


def test_text_is_no_content_that_it_reads(front: Front) -> None:
    async def chat(client: Client) -> None:
        message = Message(message_id="m", role=Role.ROLE_USER, parts=[Part(text="rent me something")])
        _ = [each async for each in client.send_message(SendMessageRequest(message=message))]

    with pytest.raises(ContentTypeNotSupportedError):
        speak(front, chat)


def test_says_that_it_has_no_tasks_and_pushes_nothing(front: Front) -> None:
    async def talk(client: Client) -> None:
        assert not (await client.list_tasks(ListTasksRequest())).tasks
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="t"))
        with pytest.raises(TaskNotFoundError):
            await client.cancel_task(CancelTaskRequest(id="t"))
        with pytest.raises(PushNotificationNotSupportedError):
            await client.create_task_push_notification_config(
                TaskPushNotificationConfig(task_id="t", url="http://x")
            )

    speak(front, talk)


@pytest.mark.parametrize(
    ("method", "version", "code"),
    [
        ("SendMessage", "", -32009),
        ("SendMessage", "0.3", -32009),
        ("SendStreamingMessage", "1.0", -32004),
        ("GetExtendedAgentCard", "1.0", -32004),
        ("message/send", "1.0", -32601),
    ],
)
def test_what_it_does_not_offer_has_its_code(front: Front, method: str, version: str, code: int) -> None:
    body = {"jsonrpc": "2.0", "id": "a", "method": method, "params": {}}
    answer = front.post("/v1/a2a", body, A2A_Version=version).json
    assert answer is not None
    assert answer["error"]["code"] == code


def test_a_card_is_fetched_again_only_when_it_changed(front: Front) -> None:
    path = f"/v1/devices/{front.device.device}/agent-card.json"
    front.offer_for_hire()
    first = front.client.get(path)
    assert "max-age=60" in first.headers["Cache-Control"]
    same = front.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.get_data()) == (304, b"")
    front.clock.advance(seconds=1)
    front.call("listing", "publish_listing", front.device.listing(title="Another name"))
    changed = front.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200


def test_a_machine_that_lists_nothing_has_no_card(front: Front) -> None:
    front.admit()
    path = f"/v1/devices/{front.device.device}/agent-card.json"
    assert front.client.get(path).json["code"] == "nothing_listed"  # type: ignore[index]
    listing = front.offer_for_hire()
    front.clock.advance(seconds=listing.document.valid_until - int(front.clock.now().timestamp()) + 1)
    assert front.client.get(path).status_code == 404
