"""The compiler, kept loaded: syntax trees, and the escrow's code with any of its sources replaced."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from syntax import Source

CONTRACTS = Path(__file__).resolve().parent.parent
ESCROW = "src/RentalEscrow.sol"
INPUT = Path("build/compilation/input.json")
# Code that only has to be right compiles in half the time; it is twice as long as the chain allows.
QUICK_STEPS = "dhfoDgvulfnTUjmul:"
QUICK = {
    "enabled": True,
    "runs": 1,
    "details": {
        "yul": True,
        "yulDetails": {"stackAllocation": True, "optimizerSteps": QUICK_STEPS},
        "cse": False,
        "constantOptimizer": False,
        "inliner": False,
        "deduplicate": False,
    },
}


@dataclass(frozen=True)
class Code:
    creation: str
    runtime: str


class DoesNotCompile(Exception):
    """The compiler's first error."""


class Compiler:
    """Owns a process; use it in a `with`. It compiles what is in `folder`, which is the project or a copy."""

    def __init__(self, folder: Path = CONTRACTS) -> None:
        self._folder = folder
        settings = json.loads((folder / INPUT).read_text())["settings"]
        # Without the sources' hash, equal code is equal.
        self._settings = settings | {"metadata": {"bytecodeHash": "none", "appendCBOR": False}}
        script = str(CONTRACTS / "mutation/compiler.js")
        self._process = subprocess.Popen(
            ["node", script, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Compiler":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def sources(self, *paths: str) -> list[Source]:
        answer = self._ask({}, self._settings | {"outputSelection": {"*": {"": ["ast"]}}}, ESCROW)
        return [
            Source(path, (self._folder / path).read_bytes(), answer["sources"][path]["ast"]) for path in paths
        ]

    def source(self, text: str) -> Source:
        """Return the tree of a text that stands in no file."""
        wanted = self._settings | {"outputSelection": {"*": {"": ["ast"]}}}
        answer = self._ask({"a.sol": text}, wanted, "a.sol")
        return Source("a.sol", text.encode(), answer["sources"]["a.sol"]["ast"])

    def quickly(self, **overrides: str) -> Code:
        """Return the escrow's code, hardly optimised."""
        return self._code(overrides, QUICK)

    def as_deployed(self, **overrides: str) -> Code:
        """Return the escrow's code as the project's settings make it, without metadata."""
        return self._code(overrides, self._settings["optimizer"])

    def _code(self, overrides: dict[str, str], optimizer: dict[str, Any]) -> Code:
        wanted = {ESCROW: {"RentalEscrow": ["evm.bytecode.object", "evm.deployedBytecode.object"]}}
        settings = self._settings | {"optimizer": optimizer, "outputSelection": wanted}
        evm = self._ask(overrides, settings, ESCROW)["contracts"][ESCROW]["RentalEscrow"]["evm"]
        return Code(evm["bytecode"]["object"], evm["deployedBytecode"]["object"])

    def _ask(self, overrides: dict[str, str], settings: dict[str, Any], entry: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(
            json.dumps({"overrides": overrides, "settings": settings, "entry": entry}) + "\n"
        )
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        for problem in answer.get("errors", []):
            if problem["severity"] == "error":
                raise DoesNotCompile(problem["formattedMessage"])
        return answer
