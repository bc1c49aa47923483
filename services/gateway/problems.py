"""One way to say what went wrong: RFC 9457 problem+json.

For our own errors, for those of services, and for Flask's.
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, json
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

from services.chassis.logging import get_logger
from services.messages.errors import (
    CallerError,
    Conflict,
    Forbidden,
    HirelingError,
    Invalid,
    NotFound,
    OperatorError,
    OutcomeUnknown,
    Refused,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

_log = get_logger(__name__)

# The status, the type's last word and the title of each error: five kinds for the caller, three for the rest.
_KINDS: Mapping[type[HirelingError], tuple[int, str, str]] = {
    NotFound: (404, "not-found", "Not found"),
    Invalid: (422, "invalid", "The request is malformed or out of range"),
    Conflict: (409, "conflict", "The request contradicts the present state"),
    Refused: (403, "refused", "A rule says no"),
    Forbidden: (403, "forbidden", "This caller may not do that"),
    CallerError: (400, "bad-request", "The request is wrong"),
    OperatorError: (500, "internal", "The platform failed"),
    Unavailable: (503, "unavailable", "Not available now: nothing was done, try again"),
    OutcomeUnknown: (504, "outcome-unknown", "The outcome is unknown: look before trying again"),
}


class Problem(BaseModel):
    """What went wrong. `code` is for machines; further members carry the numbers."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    type: str = Field(description="urn:hireling:problem:<kind>")
    title: str = Field(description="the kind, in words")
    status: int = Field(description="the HTTP status again")
    detail: str = Field(description="what happened, with the numbers")
    code: str = Field(description="the exact reason")


def problem_of(error: HirelingError) -> Response:
    """Return the response for an error of ours. What only the operator can mend is logged, not shown."""
    return _answer(members_of(error))


def members_of(error: HirelingError) -> dict[str, Any]:
    """Return what a problem says of an error of ours."""
    kind = next(kind for kind in type(error).__mro__ if kind in _KINDS)
    status, name, title = _KINDS[kind]
    if isinstance(error, OperatorError):
        return _members(
            status, name, title, code="internal", detail="The platform's operator has to look at this."
        )
    return {**error.fields, **_members(status, name, title, code=error.code, detail=error.detail)}


def problem_of_mistakes(error: ValidationError) -> Response:
    """Return the response for a request that does not parse, naming each mistake."""
    mistakes = [
        {"at": ".".join(map(str, mistake["loc"])), "problem": mistake["msg"]}
        for mistake in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return problem_of(Invalid("invalid", f"the request has {len(mistakes)} mistakes", errors=mistakes))


def problem_of_http(error: HTTPException) -> Response:
    """Return the response for an error of HTTP itself, such as a path that nobody knows."""
    if isinstance(error.response, Response):
        return error.response
    status = error.code or 500
    words = error.name.lower()
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() not in {"content-type", "content-length"}
    }
    members = _members(
        status,
        words.replace(" ", "-"),
        error.name,
        code=words.replace(" ", "_"),
        detail=error.description or error.name,
    )
    response = _answer(members)
    response.headers.update(headers)
    return response


def register_error_handlers(app: Flask) -> None:
    """Answer every error of this application with a problem."""
    app.register_error_handler(HirelingError, _on_hireling_error)
    app.register_error_handler(HTTPException, problem_of_http)
    app.register_error_handler(Exception, _on_bug)


def _on_hireling_error(error: HirelingError) -> Response:
    if isinstance(error, OperatorError):
        _log.error("request_failed", code=error.code, detail=error.detail)
    return problem_of(error)


def _on_bug(error: Exception) -> Response:
    _log.error("request_failed", code="bug", exc_info=error)
    return problem_of(OperatorError("bug", repr(error)))


def _members(status: int, kind: str, title: str, *, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:hireling:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }


def _answer(members: Mapping[str, Any]) -> Response:
    response = Response(json.dumps(members), status=members["status"], mimetype=MEDIA_TYPE)
    if members["status"] in {429, 503}:
        response.headers["Retry-After"] = str(members.get("retry_after_seconds", RETRY_AFTER_SECONDS))
    return response
