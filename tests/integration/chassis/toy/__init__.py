"""A service with every kind of entrypoint, for the chassis's own suite; it counts."""
