"""A recorded machine, played back faster than it ran."""
