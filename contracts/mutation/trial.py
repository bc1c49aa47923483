"""Runs the tests against one code of the escrow after the other. Each runs in a fork, which has everything imported, and on a
chain of its own.

Started in a folder that is a copy of the project; a line of standard input is {creation, runtime, tests, seconds}, its answer
a line of {outcome, test, error}.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import brownie.test.plugin  # noqa: F401  what every fork needs is imported once
import hypothesis.stateful  # noqa: F401
import pytest
from brownie._config import CONFIG
from brownie.project.main import _add_to_sys_path
from Crypto.PublicKey import ECC  # noqa: F401
from eth_account import Account  # noqa: F401
from verdict import FirstFailure, Outcome, outcome_of

ARTIFACT = Path("build/contracts/RentalEscrow.json")
LOG = Path("last.log")


def main() -> int:
    answers = os.fdopen(os.dup(1), "w")
    # Brownie talks while it starts.
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line))) + "\n")
        answers.flush()
    return 0


def run(asked: dict[str, Any]) -> dict[str, Any]:
    artifact = json.loads(ARTIFACT.read_text())
    artifact |= {"bytecode": asked["creation"], "deployedBytecode": asked["runtime"]}
    ARTIFACT.write_text(json.dumps(artifact))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _try(asked["tests"], writer)
    os.close(writer)
    answer = _await(reader, time.monotonic() + asked["seconds"])
    # The chain is in the child's group.
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
    return answer


def _await(reader: int, deadline: float) -> dict[str, Any]:
    heard = b""
    while not heard.endswith(b"\n"):
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return {"outcome": Outcome.TIMED_OUT, "test": "", "error": ""}
        more = os.read(reader, 65536)
        if not more:
            return {"outcome": Outcome.BROKEN, "test": "", "error": "the run ended without a word"}
        heard += more
    answer: dict[str, Any] = json.loads(heard)
    return answer


def _try(tests: list[str], writer: int) -> None:
    os.setsid()
    log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        CONFIG.networks["tests"]["cmd_settings"]["port"] = probe.getsockname()[1]
    _add_to_sys_path(Path.cwd())
    CONFIG.argv["cli"] = "test"
    sys.argv = ["brownie", "test"]
    first = FirstFailure()
    code = int(pytest.main([*tests, "-x", "--network", "tests"], ["pytest-brownie", first]))
    failure = asdict(first.failure) if first.failure else {"test": "", "error": f"pytest ended with {code}"}
    told = {"outcome": outcome_of(code, first.failure), "test": failure["test"], "error": failure["error"]}
    os.write(writer, json.dumps(told).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
