"""What agents tell the load generator, which has an environment of its own: lines of JSON on a socket."""

import asyncio
import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Timing:
    """Something that took so long: its kind, its name, and what was wrong with it, if anything."""

    kind: str
    name: str
    ms: float
    error: str | None = None

    @property
    def line(self) -> bytes:
        """Return it as it travels."""
        return json.dumps(asdict(self)).encode() + b"\n"


class Words:
    """Tells everyone who is connected."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.StreamWriter] = set()

    def say(self, timing: Timing) -> None:
        """Tell of a timing."""
        for listener in self._listeners:
            listener.write(timing.line)

    async def serve(self, path: Path) -> asyncio.Server:
        """Let others listen at this socket."""
        return await asyncio.start_unix_server(self._listen, path)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listeners.add(writer)
        try:
            with contextlib.suppress(ConnectionError):
                await reader.read()  # until the other side hangs up
        finally:
            self._listeners.discard(writer)
            writer.close()
