"""Requests are counted in the process's memory, whoever comes at the same moment."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from services.gateway import rate_memory
from services.gateway.rate_memory import SweptMemory

LIMIT = parse("1000000/hour")


def test_requests_at_the_same_moment_start_no_threads_and_all_count() -> None:
    memory = SweptMemory()
    memory.timer.join()
    limiter = FixedWindowRateLimiter(memory)
    threads = set(threading.enumerate())
    with ThreadPoolExecutor(8) as pool:
        hits = [pool.submit(limiter.hit, LIMIT, f"caller {number % 3}") for number in range(3_000)]
        assert all(hit.result() for hit in hits)
        workers = pool._threads
        assert set(threading.enumerate()) - threads == workers

    counted = [
        LIMIT.amount - limiter.get_window_stats(LIMIT, f"caller {number}").remaining for number in range(3)
    ]
    assert counted == [1_000] * 3


def test_callers_who_stay_away_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_memory, "SWEEP_SECONDS", 0.0)
    memory = SweptMemory()
    memory.timer.join()
    memory.incr("gone", 0)
    memory.incr("here", 3_600)
    assert set(memory.storage) == {"here"}
