"""What a renter must not forget of a rental.

It is written before anything is sent that depends on it, so that a crash loses nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from hireling.durable import make_private_folder, write_atomically
from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.reading import SignedReading

Stage = Literal["agreed", "funded", "running", "over", "done"]


class Page(BaseModel):
    """One rental. The session key lies in the keystore under ``session_key``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    agreement: SignedAgreement
    session_key: str
    stage: Stage
    ceiling: SignedCeiling | None = None
    last_reading: SignedReading | None = None
    unlock_answered: bool = False


class RenterBook:
    """A folder of pages, one file a rental."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, page: Page) -> Page:
        """Keep the page, safe on disk when this returns."""
        make_private_folder(self._folder)
        write_atomically(self.path(page.agreement.rental_id), page.model_dump_json(indent=1).encode())
        return page

    def read(self, rental_id: bytes) -> Page:
        """Return a rental's page. Raises FileNotFoundError."""
        return Page.model_validate_json(self.path(rental_id).read_bytes())

    def path(self, rental_id: bytes) -> Path:
        """Return where a rental's page lies."""
        return self._folder / f"0x{rental_id.hex()}.json"

    def unfinished(self) -> Iterator[Page]:
        """Return the rentals that are not done, oldest first."""
        return (page for page in self.pages() if page.stage != "done")

    def pages(self) -> Iterator[Page]:
        """Return every rental, the one written last at the end."""
        paths = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        return (Page.model_validate_json(path.read_bytes()) for path in paths)
