"""Mutants that a reviewer found to change nothing that anyone could see, each with the reason: equivalents.toml.

They are known by their text and not by their line, so that they stay known when the file changes elsewhere.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from syntax import Mutant, Source

LIST = Path(__file__).resolve().parent / "equivalents.toml"


@dataclass(frozen=True)
class Equivalent:
    file: str
    within: str
    before: str
    after: str
    reason: str

    def is_of(self, source: Source, mutant: Mutant) -> bool:
        before, after = mutant.lines(source.text)
        return (self.file, self.within, _words(self.before), _words(self.after)) == (
            mutant.path.removeprefix("src/"),
            mutant.within,
            _words(before),
            _words(after),
        )


def reviewed(text: str) -> list[Equivalent]:
    return [Equivalent(**entry) for entry in tomllib.loads(text).get("equivalent", [])]


def _words(text: str) -> str:
    return " ".join(text.split())
