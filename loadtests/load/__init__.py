"""How the whole stack holds under load: `make load`, `ARGS=--help` (docs/performance.md)."""
