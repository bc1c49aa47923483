"""A POST with an Idempotency-Key happens once: repeated, it gets the first answer again.

Only success is kept, and no answer that asks not to be stored: there is a password in it, or a move that is
to be made yet. An error left nothing behind, or (outcome unknown) is exactly what the caller should ask about
again, and every service is idempotent by itself.
"""

import hashlib
import re
from datetime import timedelta

from flask import Flask, Response, g, request

from services.chassis.database import DATABASE_DOWN
from services.chassis.logging import get_logger
from services.gateway import store
from services.gateway.models import KeptAnswer
from services.gateway.rpc import neighbours
from services.messages.errors import Conflict, Invalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 255
# Printable ASCII but the space, which is no part of a value, and the comma, by which a server joins a header
# that came twice: nobody could tell which of the keys counts.
PATTERN = "^[!-+.-~-]+$"
# An answer that did not come within this was lost with its process.
LOST_AFTER = timedelta(seconds=60)

# Python's `$` lets a line break follow.
_WELL_FORMED = re.compile(PATTERN.replace("$", r"\Z"))
_log = get_logger(__name__)


def register_idempotency(app: Flask) -> None:
    """Watch every POST of this application."""
    app.before_request(_answer_again)
    app.after_request(_keep_answer)


def _answer_again() -> Response | None:
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None or request.url_rule is None:
        return None
    if len(key) > LONGEST_KEY or not _WELL_FORMED.search(key):
        raise Invalid(
            "idempotency_key_invalid",
            f"{HEADER} has 1 to {LONGEST_KEY} printable ASCII characters, no space or comma",
        )
    here = neighbours()
    now = here.clock.now()
    asked = KeptAnswer(key=key, request_hash=_request_hash(), asked_at=now)
    # The key's own row is locked, and that is the whole story: requests with other keys never come between.
    with here.database.queue_work() as session:
        store.drop_answers_before(session, now - timedelta(hours=here.settings.idempotency_hours))
        kept = store.lock_answer(session, key)
        if kept is not None and kept.status == 0 and now - kept.asked_at > LOST_AFTER:
            store.drop_answer(session, key)
            session.expunge(kept)
            kept = None
        if kept is None and store.reserve_answer(session, asked):
            g.idempotency_key = key
            return None
    return _kept(kept, asked)


def _kept(kept: KeptAnswer | None, asked: KeptAnswer) -> Response:
    """Return the answer that was kept.

    Raises Invalid for another request under the same key, Conflict while it is being answered.
    """
    if kept is not None and kept.request_hash != asked.request_hash:
        raise Invalid(
            "idempotency_key_reused", f"this {HEADER} came with another request before", key=asked.key
        )
    if kept is None or kept.status == 0:
        raise Conflict(
            "still_answering", "the first request with this key is still being answered", key=asked.key
        )
    response = Response(kept.body, status=kept.status, content_type=kept.media_type)
    response.headers[REPLAYED] = "true"
    return response


def _keep_answer(response: Response) -> Response:
    key = g.pop("idempotency_key", None)
    if key is None:
        return response
    try:
        _fill_place(key, response)
    except DATABASE_DOWN as error:
        # It is done and this is its answer; only a repetition will not find it, and asks the service itself.
        _log.warning("answer_not_kept", reason=str(error)[:300])
    return response


def _fill_place(key: str, response: Response) -> None:
    with neighbours().database.queue_work() as session:
        kept = store.lock_answer(session, key)
        is_success = 200 <= response.status_code < 300
        if kept is not None and is_success and not response.cache_control.no_store:
            kept.status, kept.media_type, kept.body = (
                response.status_code,
                response.content_type or "",
                response.get_data(),
            )
        else:
            store.drop_answer(session, key)


def _request_hash() -> str:
    return hashlib.sha256(b"\n".join([request.full_path.encode(), request.get_data()])).hexdigest()
