"""Where a command runs: the home folder, the marketplace's address, and the passphrase of the keys."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hireling.keystore import Keystore, passphrase_in

DEFAULT_HOME = Path("~/.hireling")
DEFAULT_GATEWAY = "http://127.0.0.1:8080"

HomeOption = Annotated[
    Path,
    typer.Option(
        "--home", envvar="HIRELING_HOME", help="Folder for keys, logs and bills.", show_default=True
    ),
]
GatewayOption = Annotated[
    str,
    typer.Option(
        "--gateway", envvar="HIRELING_GATEWAY", help="Address of the marketplace.", show_default=True
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line, for programs, instead of text.")
]


@dataclass(frozen=True)
class Home:
    """One person's folder."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Home":
        """Return the home at this path; ``~`` is the user's own folder."""
        return cls(folder.expanduser().absolute())

    @property
    def keys(self) -> Keystore:
        """Return the wallets: of the owner, whose machines earn into it, and of the renter."""
        return self.keystore(self.folder / "keys")

    @property
    def renter_keys(self) -> Keystore:
        """Return the session keys, one a rental."""
        return self.keystore(self.folder / "renter" / "keys")

    @property
    def renter_book(self) -> Path:
        """Return where a renter's rentals are kept."""
        return self.folder / "renter" / "rentals"

    @property
    def bills(self) -> Path:
        """Return where verified bills are kept."""
        return self.folder / "bills"

    @property
    def ledger(self) -> Path:
        """Return the file of what mandates have promised, and what people approved."""
        return self.folder / "mandates.sqlite"

    @property
    def x402(self) -> Path:
        """Return where an x402 front keeps its payments."""
        return self.folder / "x402"

    @property
    def decisions(self) -> Path:
        """Return where agents keep why they did what they did."""
        return self.folder / "decisions"

    def device(self, name: str) -> Path:
        """Return the folder of a machine."""
        return self.folder / "devices" / (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "machine")

    def keystore(self, folder: Path) -> Keystore:
        """Return a folder of keys under this home's passphrase. Raises KeystoreError."""
        # The one setting that must not be an option: command lines are visible to everybody on the machine.
        given = os.environ.get("HIRELING_PASSPHRASE")  # noqa: TID251
        return Keystore(folder, passphrase=given or passphrase_in(self.folder))
