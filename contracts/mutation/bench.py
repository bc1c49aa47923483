"""Tries one mutant after the other in a workshop."""

import threading
from typing import Any

from compiler import Code, DoesNotCompile
from equivalents import Equivalent
from report import Tried
from selection import stages
from syntax import Mutant, Source
from verdict import Outcome
from workshop import Workshop

# Every call has a gas limit, so nothing loops for ever; a stage takes two minutes on a busy machine.
STAGE_SECONDS = 1200


class BaselineFailed(Exception):
    """The tests fail on the code as it is: nothing can be counted."""


class Original:
    """The code as it is. Whatever tests kill a mutant have passed on it first, in the same order."""

    def __init__(self, workshop: Workshop) -> None:
        self.quick = workshop.compiler.quickly()
        self._deployed: Code | None = None
        self._passed: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def deployed(self, workshop: Workshop) -> Code:
        with self._lock:
            if self._deployed is None:
                self._deployed = workshop.compiler.as_deployed()
            return self._deployed

    def require(self, workshop: Workshop, tests: list[str]) -> None:
        # Asked without the lock first: who knows the answer must not wait for a run of other tests.
        if tuple(tests) in self._passed:
            return
        with self._lock:
            if tuple(tests) in self._passed:
                return
            answer = workshop.run(self.quick, tests, STAGE_SECONDS)
            if answer["outcome"] != Outcome.SURVIVED:
                raise BaselineFailed(
                    f"without a mutant: {answer['outcome']} {answer['test']} {answer['error']}"
                )
            self._passed.add(tuple(tests))


class Bench:
    def __init__(
        self, workshop: Workshop, original: Original, equivalents: list[Equivalent], *, walks: bool
    ) -> None:
        self._workshop = workshop
        self._original = original
        self._equivalents = equivalents
        self._walks = walks

    def try_out(self, source: Source, mutant: Mutant) -> Tried:
        for each in self._equivalents:
            if each.is_of(source, mutant):
                return Tried(source, mutant, Outcome.REVIEWED, each.reason)
        override = {mutant.path: mutant.apply(source.text).decode()}
        try:
            code = self._workshop.compiler.quickly(**override)
        except DoesNotCompile as error:
            return Tried(source, mutant, Outcome.NOT_COMPILED, str(error).split("\n", 1)[0])
        if code == self._original.quick:
            return Tried(source, mutant, Outcome.SAME_CODE)
        for tests in stages(mutant.path)[: 3 if self._walks else 2]:
            self._original.require(self._workshop, tests)
            answer = self._run(code, tests)
            if answer["outcome"] != Outcome.SURVIVED:
                return Tried(source, mutant, Outcome(answer["outcome"]), answer["test"] or answer["error"])
        # What the optimiser makes equal is equal on the chain.
        is_same = self._workshop.compiler.as_deployed(**override) == self._original.deployed(self._workshop)
        return Tried(source, mutant, Outcome.SAME_CODE if is_same else Outcome.SURVIVED)

    def _run(self, code: Code, tests: list[str]) -> dict[str, Any]:
        answer = self._workshop.run(code, tests, STAGE_SECONDS)
        if answer["outcome"] == Outcome.BROKEN:
            answer = self._workshop.run(code, tests, STAGE_SECONDS)
        return answer
