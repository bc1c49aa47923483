"""Moves: many questions, offers and signatures in one request, for who bargains in many sessions."""

import json
from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import MadeMoves, Moves, problems
from services.gateway.problems import members_of
from services.gateway.rpc import call
from services.messages.errors import ERRORS
from services.messages.negotiation import MOST_MOVES

routes = APIBlueprint(
    "moves", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="quotes")]
)

# What the same move, sent again, may turn into done or refused.
_OPEN = ("unavailable", "unknown")


@routes.post("/moves", operation_id="make_moves", responses={200: MadeMoves})
def make_moves(body: Moves) -> Response:
    """Make moves in many sessions, in the order in which they come, and answer each on its own.

    Each counts as it would alone: a refused one hinders no other, and one that was made before is done. What
    is done is durable. An error of the whole request is a problem, as everywhere; after 504 the moves are
    sent again, or looked up. While a move is unavailable or unknown, the answer is kept under no
    Idempotency-Key.
    """
    answers = call("negotiation", "make_moves", body.moves)
    shown = jsonify({"answers": [_shown(answer) for answer in answers]})
    if any(answer["outcome"] in _OPEN for answer in answers):
        shown.headers["Cache-Control"] = "no-store"
    return shown


def cost() -> int:
    """Return as how many requests this one counts against the rate limit: moves together as many as alone."""
    if request.endpoint != f"{routes.name}.{make_moves.__name__}":
        return 1
    try:
        moves = json.loads(request.get_data())["moves"]
        return min(max(len(moves), 1), MOST_MOVES)
    except (ValueError, TypeError, LookupError, RecursionError):
        # No list of moves: it is refused as a whole.
        return 1


def _shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with its problem as a single request would have it."""
    problem = answer.pop("problem")
    if problem is not None:
        error = ERRORS[problem["error"]](problem["code"], problem["detail"], **problem["fields"])
        answer["problem"] = members_of(error)
    return answer
