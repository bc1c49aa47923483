"""A fixed job, to know how fast the processors were: on shared ones the same code's rate differs by half.

    python -m loadtests.load.reference

All cores do it at once, as under load: JSON, hashes, signatures and small objects, of which rentals are made.
Prints how many milliseconds it took, their mean over the cores.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from hireling.rental.hashing import keccak256
from hireling.rental.signing import Secp256k1Key
from services.embedded.settings import PROJECT

ROUNDS = 3_000
SIGN_EVERY = 20
TIMEOUT_SECONDS = 120


@dataclass
class _Row:
    number: int
    words: list[str]
    amounts: dict[str, int]


def reference_ms() -> float:
    """Return how long the job takes now while every core does it, in milliseconds."""
    command = [sys.executable, "-m", "loadtests.load.reference", "here"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)
        for _ in range(os.cpu_count() or 1)
    ]
    return statistics.mean(float(each.communicate(timeout=TIMEOUT_SECONDS)[0]) for each in running)


def _job() -> float:
    key = Secp256k1Key.generate()
    began = time.perf_counter()
    seen = b""
    for number in range(ROUNDS):
        row = _Row(number, [f"word {i}" for i in range(20)], {f"amount {i}": i * number for i in range(20)})
        text = json.dumps(asdict(row), sort_keys=True)
        row = _Row(**json.loads(text))
        seen = keccak256(seen + text.encode())
        if not number % SIGN_EVERY:
            key.sign_digest(seen)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    print(f"{_job() if sys.argv[1:] == ['here'] else reference_ms():.1f}")
