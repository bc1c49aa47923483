"""Settings of metering: METERING_*."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from services.chassis.settings import ServiceSettings
from services.metering.plausibility import Limits


class KeeperSettings(ServiceSettings):
    """Where Mosquitto finds its passwords, and how it is told to look again: METERING_BROKER_*."""

    model_config = SettingsConfigDict(env_prefix="METERING_BROKER_")

    passwords: Path = Field(description="the file that mosquitto.conf names as password_file")
    pid_file: Path | None = Field(
        default=None,
        description="the file that mosquitto.conf names as pid_file; none where watch.sh runs it",
    )
    operators: Path | None = Field(
        default=None, description="accounts of your own, in Mosquitto's format, kept ahead of the others"
    )
    reload_seconds: float = Field(
        default=1.0,
        ge=0,
        description="at least between two reloads; who is shut out, is shut out at once",
    )
    poll_seconds: float = Field(default=0.25, gt=0, description="how often to look for changes")


class MeteringSettings(ServiceSettings):
    """How ingest batches, how patient it is, and how much it keeps."""

    model_config = SettingsConfigDict(env_prefix="METERING_")

    share_group: str | None = Field(
        default=None,
        description="of a shared subscription: several processes divide the messages; amqtt has none",
    )
    batch_size: int = Field(default=2_000, ge=1, description="messages at most in one transaction")
    verify_processes: int = Field(
        default=0,
        ge=0,
        description="processes that open messages, on a server about one a core; 0 opens them in threads",
    )
    verify_threads: int = Field(
        default=1,
        ge=1,
        description="threads that open messages; on two cores a second one costs more than it brings",
    )
    chunk_size: int = Field(default=128, ge=1, description="messages at most that are opened together")
    gather_seconds: float = Field(
        default=0.03,
        ge=0,
        description="how long a transaction waits for more messages where more are being opened",
    )
    queue_size: int = Field(
        default=2_000,
        ge=1,
        le=65_535,
        description="messages taken and not yet acknowledged to the broker, which keeps the rest",
    )
    queue_bytes: int = Field(
        default=16 * 2**20,
        ge=1,
        description="bytes of these messages; beyond either, nothing is read",
    )
    unknown_patience_seconds: float = Field(
        default=5.0, ge=0, description="how long a message may come earlier than the agreement of its rental"
    )
    unknown_kept: int = Field(default=1_000, ge=0, description="early messages kept at most")
    downlink_seconds: float = Field(
        default=0.2, gt=0, description="how often to look for messages to devices"
    )
    hole_limit: int = Field(
        default=10_000, ge=1, description="readings beyond a hole are kept up to this number after it"
    )
    slack_seconds: float = Field(
        default=2.0, ge=0, description="how much a counter may run ahead of the clock"
    )
    refusals_kept: int = Field(
        default=1_000, ge=1, description="refusals kept for each rental, and for those that name none"
    )
    readings_per_second: float = Field(
        default=400.0,
        ge=0,
        description="of one device; a batch counts as one, and one for each ten readings; 0 sets no limit",
    )
    readings_burst: int = Field(
        default=4_000, ge=17, description="as many at once, for a backlog; at least one batch's worth"
    )
    limited_told_seconds: float = Field(
        default=5.0, ge=0, description="how often at most a device is told that it sends too many"
    )
    day_grace_seconds: float = Field(
        default=60.0,
        ge=0,
        description="how long after midnight UTC a day stays open for what is still being written",
    )
    keep_days: int | None = Field(
        default=None,
        ge=1,
        description="how long after its rental was over a reading is kept; for ever where it is not set",
    )
    refusals_keep_days: int = Field(
        default=90,
        ge=1,
        description="the same of refusals; of rentals that are not over all are kept",
    )
    access_seconds: int = Field(
        default=43_200,
        ge=60,
        description="how long a name at the broker is good",
    )
    bargainer_seconds: int = Field(
        default=600,
        ge=60,
        description="the same of a renter's agent that has a session open, and no rental yet",
    )
    bargainers: int = Field(
        default=5_000,
        ge=0,
        description="such agents at the broker at most; more of them bargain over HTTP",
    )
    call_seconds: float = Field(default=5.0, gt=0, description="patience with another service")
    judge_patience_seconds: float = Field(
        default=5.0,
        ge=0,
        description="how long fewer than 64 readings may wait for the rules of plausibility",
    )
    gap_seconds: int = Field(
        default=600, ge=1, description="longest silence of a machine in use, by its clock, that is no flag"
    )
    reboots: int = Field(default=5, ge=1, description="restarts within reboot_seconds that are a flag")
    reboot_seconds: int = Field(default=3_600, ge=1, description="in how many seconds, by the device's clock")
    flat_readings: int = Field(
        default=300, ge=2, description="readings in a row with the same growth that are a flag, after noise"
    )
    stuck_readings: int = Field(
        default=360, ge=1, description="readings in which only another use counter grew that are a flag"
    )
    idle_seconds: int = Field(default=7_200, ge=1, description="paid time without any use that is a flag")
    largest_payload: int = Field(default=16_384, ge=1, description="bytes; anything longer is malformed")

    @property
    def limits(self) -> Limits:
        """Return what the rules of plausibility call too much."""
        return Limits(
            gap_seconds=self.gap_seconds,
            reboots=self.reboots,
            reboot_seconds=self.reboot_seconds,
            flat_readings=self.flat_readings,
            stuck_readings=self.stuck_readings,
            idle_seconds=self.idle_seconds,
        )
