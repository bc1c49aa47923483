"""RPC words of the metering service.

get_readings(rental_id, after, limit) -> Page[SignedReading]     accepted, seq > after (-1: all), ascending;
                                                                 Conflict("readings_dropped") with kept_from
get_refusals(rental_id) -> tuple of Refusal                      newest last
list_refusals(query) -> Page[RefusedMessage]                     newest first
submit_ceiling(rental_id, signed_ceiling) -> SignedCeiling       the one that counts now; the device gets it
get_ceilings(rental_id) -> tuple of SignedCeiling                ascending
get_reading_reaching(rental_id, amount) -> SignedReading | None  the first that asks so much; amount as text
get_proof(rental_id, seq) -> ReadingProof                        announcement None while it is pending;
                                                                 Conflict("day_not_closed") with closes_at
get_series(rental_id, SeriesQuery) -> Page[UsageStep]            ascending; next is the next page's begin
broker_challenge(broker) -> BrokerChallenge
enter_broker(signed_wish, broker) -> BrokerAccessView            Refused: another key, answered before;
                                                                 Conflict("seat_taken") by a rental in use;
                                                                 Unavailable("too_many_bargainers")
get_days(device, cursor, limit) -> Page[DeviceDay]               newest first, the same of announcement
"""

from datetime import datetime
from typing import Literal

from pydantic import Field

from hireling.rental.typed_data import Bytes32, Uint64, Uint96, Uint256
from services.messages.message import Message

LATEST = 2**40
LONGEST_STEP = 366 * 24 * 3_600


class BrokerAccessView(Message):
    """A name at the broker, its password, and for how many seconds both are good."""

    username: str
    password: str = Field(repr=False)
    seconds: int


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


class SeriesQuery(Message):
    """Which part of a rental's use, in Unix seconds, and in which steps."""

    begin: int = Field(ge=0, le=LATEST, description="rounded down to a whole minute for steps of minutes")
    end: int = Field(ge=0, le=LATEST)
    step: int = Field(ge=1, le=LONGEST_STEP, description="seconds; whole minutes where it is more than one")
    limit: int = Field(default=500, ge=1, le=1_000)


class MeterState(Message):
    """What the meter said at one reading: cumulative, since the rental began."""

    seq: Uint64
    amount_due: Uint96
    counters: tuple[Uint256, ...]


class UsageStep(Message):
    """What a rental's readings from ``start`` until ``end``, in Unix seconds, amount to.

    ``first`` and ``last`` are those with the lowest and the highest number.
    """

    start: int
    end: int
    readings: int
    first: MeterState
    last: MeterState


class RefusedMessage(Refusal):
    """A refusal, and the device on whose topic it came; None where it came on no device's."""

    device: Bytes32 | None


class RefusalQuery(Message):
    """Which refusals; every given field narrows. ``unresolved_only`` leaves out gaps that were filled."""

    device: Bytes32 | None = None
    code: str | None = None
    unresolved_only: bool = False
    cursor: str | None = None
    limit: int = Field(default=50, ge=1, le=200)
