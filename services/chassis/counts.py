"""What the chassis counts for every service: calls, events, the outbox, timers, the database's troubles."""

from pydantic import ValidationError

from services.chassis.metrics import counter, from_zero, gauge, histogram
from services.messages.errors import CallerError, OutcomeUnknown, Unavailable

RPC_SERVED = counter(
    "hireling_chassis_rpc_served_total",
    "Calls that a service answered: done, refused, unavailable (nothing was done), unknown, failed (a bug).",
    "service", "method", "outcome",
)  # fmt: skip
RPC_SERVED_SECONDS = histogram(
    "hireling_chassis_rpc_served_seconds", "How long a service worked on a call.", "service", "method"
)
RPC_CALLED = counter(
    "hireling_chassis_rpc_called_total",
    "Calls that this process made, by what came of them for the caller; unknown where no reply came in time.",
    "service", "method", "outcome",
)  # fmt: skip
RPC_CALLED_SECONDS = histogram(
    "hireling_chassis_rpc_called_seconds",
    "How long the caller waited for a call, queue and bus included.",
    "service", "method",
)  # fmt: skip
EVENTS_HEARD = counter(
    "hireling_chassis_events_heard_total",
    "Deliveries of events: done (also where it was known), retried after a failure, parked for an operator.",
    "service", "event", "outcome",
)  # fmt: skip
EVENTS_PUBLISHED = counter(
    "hireling_chassis_events_published_total", "Events that left the outbox for the bus.", "service", "event"
)
OUTBOX_UNSENT = gauge(
    "hireling_chassis_outbox_unsent", "Events that are committed and have not left yet.", "service"
)
OUTBOX_AGE_SECONDS = gauge(
    "hireling_chassis_outbox_age_seconds",
    "How long the oldest unsent event waits; 0 where none does.",
    "service",
)
ROWS_FORGOTTEN = counter(
    "hireling_chassis_rows_forgotten_total",
    "Rows of events, told (outbox) or heard (inbox), that were deleted because they are old.",
    "service", "table",
)  # fmt: skip
TIMER_RUNS = counter(
    "hireling_chassis_timer_runs_total",
    "Ticks of a service's timers, by their outcome as for calls.",
    "service", "timer", "outcome",
)  # fmt: skip
DATABASE_ERRORS = counter(
    "hireling_chassis_database_errors_total",
    "What the database raised: busy (another transaction came between), unreachable, commit_unknown, other.",
    "error",
)
from_zero(DATABASE_ERRORS, ["busy", "unreachable", "commit_unknown", "other"])


def outcome_of(error: BaseException | None) -> str:
    """Return what came of a call or a tick that raised this."""
    if error is None:
        return "done"
    if isinstance(error, CallerError | ValidationError):
        return "refused"
    if isinstance(error, Unavailable):
        return "unavailable"
    return "unknown" if isinstance(error, OutcomeUnknown) else "failed"
