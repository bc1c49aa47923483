"""RPC words of the metering service.

get_readings(rental_id, after, limit) -> Page[SignedReading]     accepted, seq > after (-1: all), ascending
get_refusals(rental_id) -> tuple of Refusal                      newest last
submit_ceiling(rental_id, signed_ceiling) -> SignedCeiling       the one that counts now; the device gets it
get_ceilings(rental_id) -> tuple of SignedCeiling                ascending
get_proof(rental_id, seq) -> ReadingProof                        announcement None while it is pending;
                                                                 Conflict("day_not_closed") with closes_at
get_days(device, cursor, limit) -> Page[DeviceDay]               newest first, the same of announcement
"""

from datetime import datetime
from typing import Literal

from hireling.rental.typed_data import Bytes32
from services.messages.message import Message


class Refusal(Message):
    """Something a device or renter sent that does not count, and why.

    A gap is resolved when its hole is filled.
    """

    source: Literal["metering", "settlement"]
    rental_id: Bytes32 | None
    seq: int | None
    code: str
    detail: str
    at: datetime
    resolved_at: datetime | None = None
