"""What ingest counts and measures of moves on their way from the broker to the disk."""

from services.chassis.metrics import counter, gauge, histogram

SIZE = (1, 2, 5, 10, 20, 50, 100, 200)

RECEIVED = counter("hireling_negotiation_moves_received_total", "Moves that came off the broker.")
ANSWERED = counter(
    "hireling_negotiation_moves_answered_total",
    "Answers to moves, by what became of the move; the same one again is counted again.",
    "outcome",
)
TOLD = counter("hireling_negotiation_sessions_told_total", "Sessions that a side was told of after a move.")
BATCH_SIZE = histogram(
    "hireling_negotiation_batch_size", "Moves that were looked at in one transaction.", buckets=SIZE
)
COMMIT_SECONDS = histogram(
    "hireling_negotiation_commit_seconds", "How long a batch of moves took to be judged and made durable."
)
IN_HAND = gauge(
    "hireling_negotiation_in_hand",
    "Moves taken and not answered yet, which the broker therefore keeps.",
)
CONNECTED = gauge(
    "hireling_negotiation_connected", "1 while the ingest of moves is connected to the broker and subscribed."
)
