"""The development chain's state on disk, with a copy that is certainly whole.

anvil writes its state in place, every second: one that is killed meanwhile leaves half of it, and does not
start on that again. The copy is some blocks older, so the chain goes back by these, as chains do.
"""

import json
import shutil
import time
from pathlib import Path

from hireling.durable import write_atomically

COPY_EVERY = 5.0  # seconds: what a kill in the middle of a write may cost


class ChainState:
    """The file that anvil writes, and the copy beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.copy = path.with_suffix(".whole")
        self._copied_at = -COPY_EVERY

    def keep(self, *, monotonic: float | None = None) -> None:
        """Copy the state where the last copy is some seconds old and the state is whole just now."""
        now = time.monotonic() if monotonic is None else monotonic
        if now - self._copied_at < COPY_EVERY:
            return
        state = self.path.read_bytes() if self.path.exists() else b""
        if _is_whole(state):
            write_atomically(self.copy, state)
            self._copied_at = now

    def mend(self) -> bool:
        """Put the copy in the place of a state that is not whole; return whether it was put there."""
        if not self.path.exists() or not self.copy.exists() or _is_whole(self.path.read_bytes()):
            return False
        shutil.copyfile(self.copy, self.path)
        return True


def _is_whole(state: bytes) -> bool:
    # Most halves are told by their last byte, without parsing megabytes.
    if not state.rstrip().endswith(b"}"):
        return False
    try:
        json.loads(state)
    except ValueError:
        return False
    return True
