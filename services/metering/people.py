"""What metering holds of a person: readings, which bills are verified with, and what was made of them."""

from collections.abc import Sequence

from sqlmodel import col

from services.chassis.people import Held, events_of, goes, stays
from services.metering.models import (
    AcceptedCeiling,
    DaySpan,
    FlagRow,
    PatternRow,
    ReadingRun,
    RefusalRow,
    Rental,
    UsageBucket,
    WaitingReading,
    WatchRow,
)

EVIDENCE = "bills are verified with it, for as long as METERING_KEEP_DAYS says"
ROOT = "the root of its day, which is public on the chain, is made of it"

TABLES: Sequence[Held] = (
    goes(WaitingReading, lambda person: col(WaitingReading.rental_id).in_(person.rental_ids)),
    goes(RefusalRow, lambda person: col(RefusalRow.rental_id).in_(person.rental_ids)),
    goes(UsageBucket, lambda person: col(UsageBucket.rental_id).in_(person.rental_ids)),
    goes(WatchRow, lambda person: col(WatchRow.rental_id).in_(person.rental_ids)),
    goes(PatternRow, lambda person: col(PatternRow.rental_id).in_(person.rental_ids)),
    goes(FlagRow, lambda person: col(FlagRow.rental_id).in_(person.rental_ids)),
    stays(Rental, lambda person: col(Rental.rental_id).in_(person.rental_ids), EVIDENCE),
    # Readings are read out page by page.
    stays(
        ReadingRun,
        lambda person: col(ReadingRun.rental_id).in_(person.rental_ids),
        EVIDENCE,
        unread=["document", "hashes", "minutes"],
    ),
    stays(AcceptedCeiling, lambda person: col(AcceptedCeiling.rental_id).in_(person.rental_ids), EVIDENCE),
    stays(DaySpan, lambda person: col(DaySpan.rental_id).in_(person.rental_ids), ROOT),
    events_of(lambda person: person.rental_ids),
)
