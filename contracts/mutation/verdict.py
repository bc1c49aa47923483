"""What a run of the tests says about a mutant."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# Brownie's errors of a chain that does not start or answer. Those of the system, of time and of HTTP are OSErrors.
OF_THE_CHAIN = ("CompilerError", "RPCConnectionError", "RPCProcessError")


class Outcome(StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    SAME_CODE = "same code"
    REVIEWED = "equivalent by review"
    NOT_COMPILED = "did not compile"
    TIMED_OUT = "timed out"
    BROKEN = "could not be tried"


@dataclass(frozen=True)
class Failure:
    """The first test that failed. Whether it was the tests' machinery and not the code is told by the exception."""

    test: str
    error: str
    is_of_the_machinery: bool

    @classmethod
    def of(cls, test: str, error: BaseException) -> "Failure":
        name = type(error).__name__
        broken = isinstance(error, (OSError, MemoryError)) or name in OF_THE_CHAIN
        return cls(test, f"{name}: {str(error)[:200]}", broken)


def outcome_of(exit_code: int, failure: Failure | None) -> Outcome:
    """Return KILLED only where a test failed for what the contract did."""
    if exit_code == 0 and failure is None:
        return Outcome.SURVIVED
    if exit_code == 1 and failure is not None and not failure.is_of_the_machinery:
        return Outcome.KILLED
    return Outcome.BROKEN


class FirstFailure:
    """A plugin of pytest that keeps the first failure."""

    def __init__(self) -> None:
        self.failure: Failure | None = None

    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> None:
        if self.failure is None:
            self.failure = Failure.of(node.nodeid, call.excinfo.value)
