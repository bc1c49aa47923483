"""Where a page ended: opaque to callers, a moment and a key to us."""

import base64
import binascii
import json
from datetime import datetime

from services.messages.errors import Invalid

Position = tuple[datetime, str]


def encode(moment: datetime, key: str) -> str:
    """Return the position as a cursor."""
    return base64.urlsafe_b64encode(json.dumps([moment.isoformat(), key]).encode()).decode()


def decode(cursor: str) -> Position:
    """Return the position in a cursor. Raises Invalid."""
    try:
        moment, key = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        found = datetime.fromisoformat(moment), str(key)
    except (binascii.Error, ValueError, TypeError) as error:
        raise Invalid("bad_cursor", "the cursor is not one of ours") from error
    if found[0].tzinfo is None:
        raise Invalid("bad_cursor", "the cursor is not one of ours")
    return found
