"""Where the gateway counts requests against its rate limit: in the process's own memory."""

import threading
from time import monotonic
from typing import Any

from limits.storage import MemoryStorage

SWEEP_SECONDS = 1.0


class SweptMemory(MemoryStorage):
    """The library's own, which no longer starts a thread to sweep at every request.

    There, two requests at the same moment start one and the same thread, which only the first can
    (limits 5: "threads can only be started once"), and the second is answered 500.
    """

    STORAGE_SCHEME = ["swept-memory"]  # noqa: RUF012 - the library's registry reads a list

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        self._sweeping = threading.Lock()
        self._swept_at = monotonic()
        super().__init__(uri, **options)

    def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - the library's own name, mangled
        if monotonic() < self._swept_at + SWEEP_SECONDS or not self._sweeping.acquire(blocking=False):
            return
        try:
            self._swept_at = monotonic()
            self._MemoryStorage__expire_events()  # type: ignore[attr-defined]
        finally:
            self._sweeping.release()
