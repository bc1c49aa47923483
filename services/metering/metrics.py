"""What ingest counts and measures of readings on their way from the broker to the disk."""

from services.chassis.metrics import counter, gauge, histogram

# From a message that meets an idle ingest to a device that was offline for days.
LAG = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
AGE = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3_600.0, 86_400.0, 604_800.0)
SIZE = (1, 5, 10, 50, 100, 250, 500, 1_000, 2_000, 5_000)

RECEIVED = counter("hireling_metering_messages_received_total", "Messages that came off the broker.")
ACCEPTED = counter("hireling_metering_readings_accepted_total", "Readings that are durable and count.")
REFUSED = counter(
    "hireling_metering_messages_refused_total",
    "Messages, or batches of readings, that do not count, by why; the same one again is counted again.",
    "code",
)
LAG_SECONDS = histogram(
    "hireling_metering_lag_seconds",
    "From the broker's delivery until durable, of messages that came together and whose readings count.",
    buckets=LAG,
)
AGE_SECONDS = histogram(
    "hireling_metering_age_seconds",
    "From the device's clock, where it is synchronised, until durable: of the last reading of a message.",
    buckets=AGE,
)
BATCH_SIZE = histogram(
    "hireling_metering_batch_size", "Messages that were recorded in one transaction.", buckets=SIZE
)
OPEN_SECONDS = histogram(
    "hireling_metering_open_seconds", "How long a batch took to be parsed, hashed and its signers recovered."
)
COMMIT_SECONDS = histogram(
    "hireling_metering_commit_seconds", "How long a batch took to be judged and made durable."
)
ACKS = counter("hireling_metering_acks_total", "Acknowledgements that were handed to the broker.")
IN_HAND = gauge(
    "hireling_metering_in_hand",
    "Messages taken and not durable yet, which the broker therefore still keeps.",
)
EARLY = gauge("hireling_metering_early", "Messages that wait for their rental's agreement.")
CONNECTED = gauge("hireling_metering_connected", "1 while ingest is connected to the broker and subscribed.")
