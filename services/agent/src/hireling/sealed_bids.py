"""Sealed bids on the disk: kept before they are committed to, until they are revealed.

A commitment without its bid could never be revealed.
"""

from collections.abc import Iterator
from pathlib import Path

from hireling.auctions.bids import SignedBid
from hireling.durable import make_private_folder, write_atomically


class SealedBids:
    """The bids of one home, or of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = make_private_folder(folder)

    def keep(self, signed: SignedBid) -> SignedBid:
        """Keep a bid, and return the one that counts: the first by this key. Raises OSError."""
        path = self._path(signed)
        if not path.exists():
            write_atomically(path, signed.model_dump_json().encode())
        return SignedBid.model_validate_json(path.read_bytes())

    def of(self, auction: bytes) -> list[SignedBid]:
        """Return the bids that were made in an auction."""
        return list(self._read(f"{auction.hex()}-*.json"))

    def all(self) -> list[SignedBid]:
        """Return all that are kept."""
        return list(self._read("*-*.json"))

    def forget(self, signed: SignedBid) -> None:
        """Delete a bid that says nothing any more."""
        self._path(signed).unlink(missing_ok=True)

    def _path(self, signed: SignedBid) -> Path:
        return self._folder / f"{signed.bid.auction.hex()}-{signed.bid.bidder.hex()[:16]}.json"

    def _read(self, pattern: str) -> Iterator[SignedBid]:
        for path in sorted(self._folder.glob(pattern)):
            yield SignedBid.model_validate_json(path.read_bytes())
