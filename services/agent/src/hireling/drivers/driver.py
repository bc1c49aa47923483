"""What a driver is: the one interface between a real machine and the agent that rents it out.

A driver measures; it never prices, signs or talks to the network. Counters start at zero for every rental,
only grow, and are whole numbers in the unit their name ends with.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Protocol

from hireling.rental.tariff import CounterSpec


class DriverFailed(Exception):
    """The machine did not do what it was asked to; the message says what happened."""


class BadInput(Exception):
    """What the owner gave the driver (a file, a column, a number) does not work.

    The message says what to change.
    """


@dataclass(frozen=True)
class Sample:
    """What the machine had measured at one moment, cumulative since the rental began."""

    counters: tuple[int, ...]
    monotonic_ms: int
    position: int
    """Where the driver would go on after a crash: a row, a block of work, whatever it counts by."""


@dataclass(frozen=True)
class Progress:
    """How far a rental had come when the agent stopped.

    The counters and the position of its last signed reading.
    """

    counters: tuple[int, ...]
    position: int = 0


@dataclass(frozen=True)
class Pricing:
    """How the machine's price is said.

    It is an amount of money per ``per`` units of ``counter``, spoken of as one ``unit``.
    """

    counter: str
    per: int
    unit: str
    default: str
    """Default price per unit, as an amount of the marketplace's token."""
    default_flat: str
    """Default flat fee per rental."""


@dataclass(frozen=True)
class Facts:
    """What a listing says of the machine."""

    kind: str
    title: str
    description: str
    time_factor: int
    """How many seconds of the machine's clock pass in one real second; 1 but for replays."""
    counters: tuple[CounterSpec, ...]
    """``max_per_second`` is per real second: the time factor is already in it."""
    step: tuple[int, ...]
    """The most that each counter may rise between two samples; the agent stops the machine while a step is
    left.
    """
    pricing: Pricing
    ceiling_seconds: int
    """Seconds of use that the renter allows ahead."""
    default_seconds: int
    """Seconds that a renter should ask for when it knows no better; real seconds."""
    details: dict[str, Any] = field(default_factory=dict)


class Driver(Protocol):
    """A metered machine."""

    @property
    def facts(self) -> Facts:
        """Return what the machine is and how it is measured; constant while the agent runs."""
        ...

    async def begin(self, progress: Progress) -> None:
        """Make the machine ready, at zero or where it stopped.

        It moves with the first sample. Raises DriverFailed.
        """
        ...

    def samples(self) -> AsyncGenerator[Sample, None]:
        """Return samples at the driver's pace until the work is done.

        Raises DriverFailed when the machine breaks.
        """
        ...

    async def pause(self) -> None:
        """Stop the machine where it is; counters stand still until resume."""
        ...

    async def resume(self) -> None:
        """Let the machine go on."""
        ...

    async def end(self) -> None:
        """Stop the machine for good and free what it holds; safe to call twice."""
        ...
