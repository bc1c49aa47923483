"""Load: what the platform is asked at once, and what it answers."""
