"""What every request must be and every response must carry, before any route is asked."""

import json
import re
from collections.abc import Iterable
from typing import Any

from flask import Flask, Request, Response, abort, request

from services.messages.errors import Invalid

# The live page needs its own style, script and event stream, and nothing from anywhere else.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class JsonText(Request):
    """A request whose JSON is its text.

    flask-openapi3 hands text to pydantic's JSON mode, where a list is a tuple and a name its enum member, and
    nothing else is coerced; Python objects would meet Python's strictness.
    """

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: FBT001, FBT002 - werkzeug's signature
        """Return the body's text."""
        return self.get_data(as_text=True, cache=cache)


def register_hygiene(app: Flask) -> None:
    """Check every request and dress every response of this application."""
    app.request_class = JsonText
    app.before_request(_check_request)
    app.after_request(dressed)


def _check_request() -> None:
    if request.url_rule is None:
        return
    _check_text([request.path, *(part for pair in request.args.items(multi=True) for part in pair)])
    if request.method == "POST":
        _check_body()


def _check_body() -> None:
    if request.mimetype != "application/json":
        abort(415, "The body must be application/json.")
    raw = request.get_data()
    try:
        body = json.loads(raw.decode())
    except RecursionError as error:
        raise Invalid("too_deep", "the body is nested too deeply") from error
    except ValueError:
        abort(400, "The body is not JSON in UTF-8.")
    if not isinstance(body, dict):
        raise Invalid("not_an_object", "the body must be a JSON object")
    # Neither stands in UTF-8 or in JSON but as an escape.
    if b"\\u" in raw:
        _check_text(_texts(body))


def _texts(body: Any) -> Iterable[str]:
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            left.extend(value)
        elif isinstance(value, dict):
            left.extend([*value.keys(), *value.values()])


def _check_text(texts: Iterable[str]) -> None:
    """Raise Invalid for text that no database stores: NUL, and halves of UTF-16 pairs."""
    for text in texts:
        if _UNSTORABLE.search(text):
            raise Invalid("text_invalid", "text must be Unicode without NUL and lone surrogates")


def dressed(response: Response) -> Response:
    """Return a response with the headers that every one carries."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
