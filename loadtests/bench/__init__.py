"""Benchmarks: real servers, load from other processes, warm-up, rounds, medians; `make bench-…` runs them."""
