"""Where a page of devices or listings goes on: after this moment and key, newest first. Opaque to callers."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

from services.messages.errors import Invalid


@dataclass(frozen=True)
class Position:
    """The last item of a page."""

    moment: datetime
    key: str

    def encode(self) -> str:
        """Return the cursor for the page after this item."""
        return base64.urlsafe_b64encode(f"{self.moment.isoformat()} {self.key}".encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> "Position":
        """Return what `encode` was given. Raises Invalid for anything it never returned."""
        try:
            text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
            moment, _, key = text.partition(" ")
            position = cls(datetime.fromisoformat(moment), key)
        except (ValueError, binascii.Error) as error:
            raise Invalid("cursor_invalid", "this cursor does not come from an earlier page") from error
        if position.moment.tzinfo is None or position.encode() != cursor:
            raise Invalid("cursor_invalid", "this cursor does not come from an earlier page")
        return position
