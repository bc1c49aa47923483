"""What looks wrong in readings that are signed rightly: rules that need no learning.

A flag is a question, not a refusal: the reading counts, and who is asked decides (docs/plausibility.md). The
same readings give the same flags, in whatever pieces they come. Counts, never prices.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from hireling.rental.reading import ClockQuality, Reading, ReadingEvent, Sample

# A stretch long enough to tell a meter's noise from a ramp, a cycle or chance.
STRETCH = 64
FEWEST_VALUES = 32
FEWEST_TURNS = 16
# A Mersenne prime: 64 growths hash to a number that fits a database's 64-bit integer.
MODULUS = (1 << 61) - 1
BASE = 1_000_003
DROPPED = pow(BASE, STRETCH, MODULUS)


class Role(StrEnum):
    """What a counter counts: use, or time, by which a machine may be paid (PAID_TIME) or not."""

    USE = "use"
    TIME = "time"
    PAID_TIME = "paid_time"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is too much; the reasons are in docs/plausibility.md."""

    gap_seconds: int
    reboots: int
    reboot_seconds: int
    flat_readings: int
    stuck_readings: int
    idle_seconds: int


@dataclass(frozen=True)
class Flag:
    """What is suspicious about a reading: its number, a code, and the reason with its numbers."""

    seq: int
    code: str
    reason: str


@dataclass(frozen=True)
class Window:
    """The growth of the last 64 readings up to number ``seq``, as one hash."""

    seq: int
    hash: int


@dataclass
class _Track:
    """One use counter: how it grew lately, and for how long it has grown by the same, or not at all."""

    recent: deque[int] = field(default_factory=lambda: deque(maxlen=STRETCH))
    same: int = 0
    """How many readings in a row it has grown by the last growth in ``recent``."""
    noise: tuple[int, int] | None = None
    """The least and most that it grew in the noisy stretch before it began to grow by the same."""
    still: int = 0
    """How many readings in a row it has stood still while another use counter grew."""

    def take(self, grown: int, *, others_grew: bool) -> None:
        if self.recent and grown == self.recent[-1]:
            if self.same == 1:
                self.noise = noise_of(list(self.recent)[:-1])
            self.same += 1
        else:
            self.same, self.noise = 1, None
        self.recent.append(grown)
        if grown:
            self.still = 0
        elif others_grew:
            self.still += 1


@dataclass
class Watch:
    """Watches one rental's readings, in order; its state is small, and survives as JSON."""

    roles: Sequence[Role]
    limits: Limits
    last: Sample | None = None
    tracks: list[_Track] = field(default_factory=list)
    boots: deque[int] = field(default_factory=deque)
    idle_ms: int = 0
    hash: int = 0
    growths: deque[int] = field(default_factory=deque)
    repeated_at: int | None = None
    """The last number at which a window repeated a remembered one; the same replay goes on 64 later."""

    def __post_init__(self) -> None:
        self.tracks = self.tracks or [_Track() for role in self.roles if role is Role.USE]

    def take(self, readings: Sequence[Reading]) -> tuple[list[Flag], list[Window], list[Window]]:
        """Return what is suspicious about the next readings, and all their windows.

        The last are the windows worth remembering: noisy, one every 64 readings.
        """
        flags: list[Flag] = []
        windows: list[Window] = []
        anchors: list[Window] = []
        for reading in readings:
            flags += self._judge(reading)
            if len(self.growths) == STRETCH:
                windows.append(Window(reading.seq, self.hash))
                if reading.seq % STRETCH == STRETCH - 1 and self._is_noisy():
                    anchors.append(windows[-1])
        return flags, windows, anchors

    def find_repeats(self, windows: Sequence[Window], earlier: Mapping[int, int]) -> list[Flag]:
        """Return a flag for each stretch that grows exactly as one before it did.

        ``earlier`` are the numbers of remembered windows by their hash, the lowest of each.
        """
        flags = []
        for window in windows:
            known = earlier.get(window.hash)
            if known is None or known + STRETCH > window.seq:
                continue
            if self.repeated_at is None or self.repeated_at + STRETCH < window.seq:
                first, before = window.seq - STRETCH + 1, known - STRETCH + 1
                reason = (
                    f"readings {first} to {window.seq} grow exactly as {before} to {known} did,"
                    f" by {FEWEST_VALUES} amounts or more"
                )
                flags.append(Flag(window.seq, "replay", reason))
            self.repeated_at = window.seq
        return flags

    def _judge(self, reading: Reading) -> Iterator[Flag]:
        before, now = self.last, reading.sample
        self.last = now
        if before is None:
            return
        grown = [after - then for then, after in zip(before.counters, now.counters, strict=True)]
        elapsed_ms = _elapsed_ms(before, now)
        yield from self._reboots(before, reading)
        yield from self._gap(before, reading, grown, elapsed_ms)
        if now.event == ReadingEvent.CONTINUE:
            used = [each for each, role in zip(grown, self.roles, strict=True) if role is Role.USE]
            yield from self._tracks(reading, used)
            yield from self._idle(reading, grown, used, elapsed_ms)
            self._roll(used)

    def _reboots(self, before: Sample, reading: Reading) -> Iterator[Flag]:
        now = reading.sample
        if before.boot == now.boot:
            return
        self.boots.append(now.wall_ms)
        window_ms = self.limits.reboot_seconds * 1000
        while self.boots[0] < now.wall_ms - window_ms:
            self.boots.popleft()
        if len(self.boots) >= self.limits.reboots:
            reason = (
                f"the device began {len(self.boots)} times in {self.limits.reboot_seconds} s,"
                f" {self.limits.reboots} are too many"
            )
            self.boots.clear()
            yield Flag(reading.seq, "reboot_storm", reason)

    def _gap(
        self, before: Sample, reading: Reading, grown: Sequence[int], elapsed_ms: int | None
    ) -> Iterator[Flag]:
        if elapsed_ms is None or before.event == ReadingEvent.SUSPEND or not any(grown):
            return
        if elapsed_ms > self.limits.gap_seconds * 1000:
            yield Flag(
                reading.seq,
                "gap",
                f"no reading for {elapsed_ms // 1000} s, in which the counters grew by {grown};"
                f" at most {self.limits.gap_seconds} s are usual",
            )

    def _tracks(self, reading: Reading, used: Sequence[int]) -> Iterator[Flag]:
        for place, (track, grown) in enumerate(zip(self.tracks, used, strict=True)):
            track.take(grown, others_grew=sum(used) > grown)
            name = f"use counter {place}"
            if track.same == self.limits.flat_readings and _is_frozen(track, grown):
                yield Flag(
                    reading.seq,
                    "flat_run",
                    f"{name} grew by exactly {grown} at each of {track.same} readings,"
                    f" after it had wavered between {track.noise}",
                )
            if track.still == self.limits.stuck_readings and self._has_grown(place):
                yield Flag(
                    reading.seq,
                    "stuck_counter",
                    f"{name} stood still at {track.still} readings at which another one grew",
                )

    def _has_grown(self, place: int) -> bool:
        counters = self.last.counters if self.last else ()
        used = [count for count, role in zip(counters, self.roles, strict=True) if role is Role.USE]
        return used[place] > 0

    def _idle(
        self, reading: Reading, grown: Sequence[int], used: Sequence[int], elapsed_ms: int | None
    ) -> Iterator[Flag]:
        paid = sum(each for each, role in zip(grown, self.roles, strict=True) if role is Role.PAID_TIME)
        if any(used) or not used:
            self.idle_ms = 0
        elif paid and elapsed_ms:
            before, self.idle_ms = self.idle_ms, self.idle_ms + elapsed_ms
            limit_ms = self.limits.idle_seconds * 1000
            if before < limit_ms <= self.idle_ms:
                yield Flag(
                    reading.seq,
                    "paid_idle",
                    f"{self.idle_ms // 1000} s were counted as paid time while nothing was used",
                )

    def _roll(self, used: Sequence[int]) -> None:
        if not used:
            return
        value = 1
        for grown in used:
            value = (value * BASE + grown + 1) % MODULUS
        self.hash = (self.hash * BASE + value) % MODULUS
        self.growths.append(value)
        if len(self.growths) > STRETCH:
            self.hash = (self.hash - self.growths.popleft() * DROPPED) % MODULUS

    def _is_noisy(self) -> bool:
        return any(noise_of(list(track.recent)) is not None for track in self.tracks)

    # -- as it is stored

    def to_json(self) -> dict[str, Any]:
        """Return the state."""
        return {
            "last": None if self.last is None else self.last.model_dump(mode="json"),
            "tracks": [
                {"recent": list(each.recent), "same": each.same, "noise": each.noise, "still": each.still}
                for each in self.tracks
            ],
            "boots": list(self.boots),
            "idle_ms": self.idle_ms,
            "growths": list(self.growths),
            "repeated_at": self.repeated_at,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any], *, roles: Sequence[Role], limits: Limits) -> "Watch":
        """Return the watch that had this state, or a new one where it is empty."""
        watch = cls(roles, limits)
        if not state:
            return watch
        watch.last = None if state["last"] is None else Sample.model_validate(state["last"])
        for track, kept in zip(watch.tracks, state["tracks"], strict=True):
            track.recent.extend(kept["recent"])
            track.same, track.still = kept["same"], kept["still"]
            track.noise = None if kept["noise"] is None else (kept["noise"][0], kept["noise"][1])
        watch.boots.extend(state["boots"])
        watch.idle_ms, watch.repeated_at = state["idle_ms"], state["repeated_at"]
        for value in state["growths"]:
            watch.hash = (watch.hash * BASE + value) % MODULUS
            watch.growths.append(value)
        return watch


def noise_of(growths: Sequence[int]) -> tuple[int, int] | None:
    """Return the least and most growth of a noisy stretch; None for a short or a smooth one.

    Noise turns: it goes up and down from one reading to the next.
    """
    if len(growths) < STRETCH - 1 or len(set(growths)) < FEWEST_VALUES:
        return None
    steps = [after - before for before, after in pairwise(growths) if after != before]
    turns = sum((step > 0) != (following > 0) for step, following in pairwise(steps))
    return (min(growths), max(growths)) if turns >= FEWEST_TURNS else None


def _is_frozen(track: _Track, grown: int) -> bool:
    """Return whether a noisy meter went on at a constant growth from its own range.

    An honest machine at constant load is quiet from its start, or at another level.
    """
    return track.noise is not None and track.noise[0] <= grown <= track.noise[1] and grown > 0


def _elapsed_ms(before: Sample, now: Sample) -> int | None:
    if before.boot == now.boot:
        return now.monotonic_ms - before.monotonic_ms
    if ClockQuality.SYNCHRONISED == before.clock == now.clock:
        return now.wall_ms - before.wall_ms
    return None
