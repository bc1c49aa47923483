"""A2A's JSON-RPC binding, version 1.0, for agents that answer each message at once with a message.

https://a2a-protocol.org/latest/specification/ sections 3 and 9. Bargaining has its state in its sessions,
which messages name, so there are no tasks: asked for one, an agent says that there is none.
"""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue, StrictInt, StrictStr

from services.gateway.agent_card import JSON, PROTOCOL_VERSION
from services.messages.errors import CallerError, HirelingError, OperatorError
from services.messages.message import Message

# JSON-RPC 2.0 section 5.1, and A2A section 5.4.
METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL = -32601, -32602, -32603
TASK_NOT_FOUND, NO_PUSH, UNSUPPORTED, CONTENT_TYPE, VERSION = -32001, -32003, -32004, -32005, -32009
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
ANSWERS = uuid.UUID("5f1b7f0e-64b4-5a5f-9d0f-2f7f0f4e8a11")
USUAL_PAGE = 50

# What was asked for, by what the data part says; returns the answer's data.
Act = Callable[[dict[str, Any]], Any]


class RpcRequest(Message):
    """A JSON-RPC 2.0 request; the methods and their parameters are A2A's."""

    jsonrpc: Literal["2.0"]
    id: StrictStr | StrictInt
    method: str = Field(min_length=1, max_length=64)
    params: dict[str, JsonValue] = Field(default_factory=dict)


class RpcError(Message):
    """What went wrong, with ``google.rpc.ErrorInfo`` in ``data``."""

    code: int
    message: str
    data: tuple[dict[str, JsonValue], ...] = ()


class RpcResponse(Message):
    """A JSON-RPC 2.0 response: a result or an error."""

    jsonrpc: Literal["2.0"] = "2.0"
    id: str | int
    result: dict[str, JsonValue] | None = None
    error: RpcError | None = None


class Fault(Exception):
    """An error in A2A's own words."""

    def __init__(self, code: int, message: str, reason: str, *, domain: str = "a2a-protocol.org") -> None:
        self.error = RpcError(
            code=code,
            message=message,
            data=({"@type": ERROR_INFO, "reason": reason.upper(), "domain": domain},),
        )
        super().__init__(message)


def answer(request: RpcRequest, version: str, act: Act) -> dict[str, Any]:
    """Return the response to a request of this A2A-Version; ``act`` does what messages ask for."""
    try:
        _check_version(version)
        body: dict[str, Any] = {"result": _result(request.method, request.params, act)}
    except Fault as fault:
        body = {"error": fault.error.model_dump(mode="json")}
    except HirelingError as error:
        body = {"error": _fault_of(error).error.model_dump(mode="json")}
    return {"jsonrpc": "2.0", "id": request.id, **body}


def _check_version(version: str) -> None:
    # None means 0.3, says section 3.6.2.
    if version != PROTOCOL_VERSION:
        raise Fault(
            VERSION,
            f"this interface speaks A2A {PROTOCOL_VERSION}, not {version or '0.3'}",
            "version_not_supported",
        )


def _result(method: str, params: Mapping[str, Any], act: Act) -> dict[str, Any]:
    if method == "SendMessage":
        return {"message": _reply(params, act)}
    if method == "ListTasks":
        return {
            "tasks": [],
            "nextPageToken": "",
            "pageSize": params.get("pageSize", USUAL_PAGE),
            "totalSize": 0,
        }
    if method in {"GetTask", "CancelTask"}:
        raise Fault(TASK_NOT_FOUND, "this agent answers with messages and keeps no tasks", "task_not_found")
    if "PushNotificationConfig" in method:
        raise Fault(NO_PUSH, "this agent sends no push notifications", "push_notification_not_supported")
    if method in {"SendStreamingMessage", "SubscribeToTask", "GetExtendedAgentCard"}:
        raise Fault(
            UNSUPPORTED, f"this agent does not offer {method}, as its card says", "unsupported_operation"
        )
    raise Fault(METHOD_NOT_FOUND, f"A2A has no method {method}", "method_not_found")


def _reply(params: Mapping[str, Any], act: Act) -> dict[str, Any]:
    message = params.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("messageId"), str):
        raise Fault(INVALID_PARAMS, "params.message needs a messageId and parts", "invalid_message")
    if message.get("role") != "ROLE_USER":
        raise Fault(INVALID_PARAMS, "message.role must be ROLE_USER", "invalid_role")
    if message.get("taskId"):
        raise Fault(TASK_NOT_FOUND, f"no task {message['taskId']}", "task_not_found")
    data = act(_data_of(message))
    context = message.get("contextId")
    return {
        # The same answer to the same message has the same id.
        "messageId": str(uuid.uuid5(ANSWERS, message["messageId"])),
        "role": "ROLE_AGENT",
        "parts": [{"data": data, "mediaType": JSON}],
        **({"contextId": context} if isinstance(context, str) and context else {}),
    }


def _data_of(message: Mapping[str, Any]) -> dict[str, Any]:
    parts = message.get("parts")
    if not isinstance(parts, list) or len(parts) != 1 or not isinstance(parts[0], dict):
        raise Fault(INVALID_PARAMS, "message.parts must be one part", "invalid_parts")
    data = parts[0].get("data")
    if not isinstance(data, dict) or parts[0].get("mediaType") not in {None, "", JSON}:
        raise Fault(CONTENT_TYPE, f"this agent reads data of type {JSON}", "content_type_not_supported")
    return data


def _fault_of(error: HirelingError) -> Fault:
    if isinstance(error, CallerError):
        return Fault(INVALID_PARAMS, error.detail, error.code, domain="hireling")
    if isinstance(error, OperatorError):
        return Fault(INTERNAL, "the platform's operator has to look at this", "internal", domain="hireling")
    return Fault(INTERNAL, error.detail, error.code, domain="hireling")
