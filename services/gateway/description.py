"""The routes' OpenAPI document, with what flask-openapi3 cannot know: the header every POST honours."""

from typing import Any

from flask_openapi3 import OpenAPI

from services.gateway.idempotency import HEADER, LONGEST_KEY, PATTERN

_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same key with the same request gets the first answer again, for a day.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": PATTERN},
}


def described(app: OpenAPI) -> dict[str, Any]:
    """Return the document; the same object again when asked again."""
    document: dict[str, Any] = app.api_doc
    # Written as null where there are none, which OpenAPI does not allow: objects are signed, callers unknown.
    document["components"].pop("securitySchemes", None)
    for path in document["paths"].values():
        for method, operation in path.items():
            parameters = operation.setdefault("parameters", [])
            if method == "post" and _IDEMPOTENCY_KEY not in parameters:
                parameters.append(_IDEMPOTENCY_KEY)
    return document
