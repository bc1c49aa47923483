"""This computer, metered by its own operating system."""
