"""What was refused and why, by page: of one device, for its owner, or of all, for the operator."""

from typing import Any

from hireling.rental.typed_data import from_hex, to_hex
from services.messages.errors import Invalid
from services.messages.metering import Refusal, RefusalQuery, RefusedMessage
from services.messages.page import Page
from services.metering.models import RefusalRow
from services.metering.store import Store

LONGEST_CURSOR = 18  # digits that any database's row number has at most


def refusal_of(row: RefusalRow) -> Refusal:
    """Return a refusal as others see it."""
    return Refusal.model_validate(_shown(row))


def page_of_refusals(store: Store, query: RefusalQuery) -> dict[str, Any]:
    """Return a page of what was refused as JSON, newest first. Raises Invalid."""
    cursor = query.cursor
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= LONGEST_CURSOR):
        raise Invalid("bad_cursor", "the cursor is not one of ours")
    rows = store.page_of_refusals(
        device=None if query.device is None else to_hex(query.device),
        code=query.code,
        unresolved_only=query.unresolved_only,
        before=None if cursor is None else int(cursor),
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    items = tuple(RefusedMessage.model_validate({**_shown(row), "device": row.device}) for row in shown)
    more = str(shown[-1].id) if len(rows) > len(shown) else None
    return Page[RefusedMessage](items=items, next=more).model_dump(mode="json")


def _shown(row: RefusalRow) -> dict[str, Any]:
    return {
        "source": "metering",
        "rental_id": from_hex(row.rental_id) if row.rental_id else None,
        "seq": None if row.seq is None else int(row.seq),
        "code": row.code,
        "detail": row.detail,
        "at": row.at,
        "resolved_at": row.resolved_at,
    }
