"""How an event that its handler gave up is put aside on the bus: where, and with which words."""

PARKED = ".parked"
"""What the name of a queue's own parking queue ends in."""
TRIES_HEADER = "hireling-tries"
"""How often the handler was tried."""
REASON_HEADER = "hireling-reason"
"""What it failed at the last time."""
