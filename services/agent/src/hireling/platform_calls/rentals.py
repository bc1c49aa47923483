"""Rentals: from their money to their bills."""

from collections.abc import Mapping, Sequence
from typing import Any

from hireling.platform_calls.line import Line
from hireling.platform_views import FlagView, RefusalView, RentalView, Side
from hireling.rental.anchoring import ReadingProof
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex


class RentalCalls(Line):
    """What is asked about rentals."""

    async def rental(self, rental_id: bytes) -> RentalView:
        """Return a rental as it stands."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}", RentalView)

    async def rental_after(self, known: RentalView) -> RentalView:
        """Return the rental once it went beyond what is known, or as it is when the long poll ends."""
        if known.progress is None:
            return await self.rental(known.rental_id)
        path = f"/v1/rentals/{to_hex(known.rental_id)}"
        return await self._long_poll(path, {"progress": str(known.progress)}, RentalView)

    async def fund(self, rental_id: bytes, permit: Mapping[str, Any] | None) -> RentalView:
        """Ask the marketplace to relay the opening of the escrow; idempotent."""
        return await self._post(f"/v1/rentals/{to_hex(rental_id)}/funding", {"permit": permit}, RentalView)

    async def submit_ceiling(self, rental_id: bytes, ceiling: SignedCeiling) -> None:
        """Hand in a ceiling where the broker cannot be reached; idempotent."""
        path = f"/v1/rentals/{to_hex(rental_id)}/ceilings"
        await self._post(path, ceiling.model_dump(mode="json"), dict[str, Any])

    async def readings(self, rental_id: bytes, *, after: int, limit: int = 200) -> Sequence[SignedReading]:
        """Return durable readings above number ``after`` (-1 for all), ascending, at most ``limit``."""
        query = {"after": str(after), "limit": str(limit)}
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/readings", query, SignedReading)

    async def reading_proof(self, rental_id: bytes, seq: int) -> ReadingProof:
        """Return what shows a reading to be under its day's root; PlatformRefused until the day is closed."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}/readings/{seq}/proof", ReadingProof)

    async def refusals(self, rental_id: bytes) -> Sequence[RefusalView]:
        """Return what was sent for this rental and does not count."""
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/refusals", {}, RefusalView)

    async def flags(self, rental_id: bytes) -> Sequence[FlagView]:
        """Return what looks wrong about a rental's readings, ascending."""
        return await self._page(f"/v1/rentals/{to_hex(rental_id)}/flags", {}, FlagView)

    async def submit_close(self, close: Close, *, by: Side, signature: bytes) -> RentalView:
        """Hand in one side's half of a close; idempotent by side."""
        body = {"close": close.model_dump(mode="json"), "by": by, "signature": to_hex(signature)}
        return await self._post(f"/v1/rentals/{to_hex(close.rental_id)}/closes", body, RentalView)

    async def bill(self, rental_id: bytes) -> SignedBill:
        """Return the bill. Raises PlatformNotFound until the rental is settled."""
        return await self._get(f"/v1/rentals/{to_hex(rental_id)}/bill", SignedBill)

    async def countersign_bill(self, rental_id: bytes, signature: bytes) -> SignedBill:
        """Hand in the owner's agent's signature under the bill; idempotent."""
        path = f"/v1/bills/{to_hex(rental_id)}/countersignature"
        return await self._post(path, {"signature": to_hex(signature)}, SignedBill)
