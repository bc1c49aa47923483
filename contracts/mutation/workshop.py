"""A copy of the project to try mutants in, with a compiler and a runner of tests of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from compiler import Code, Compiler

CONTRACTS = Path(__file__).resolve().parent.parent
COPIED = ("brownie-config.yaml", "pytest.ini", "src", "interfaces", "scripts", "tests", "docs", "build")
NETWORK = """live: []
development:
  - name: tests
    id: tests
    # Code that is hardly optimised is longer than a chain allows.
    cmd: anvil --disable-code-size-limit
    host: "http://127.0.0.1"
    cmd_settings: {port: 0, base_fee: 0}
"""


class Workshop:
    """Owns two processes; use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._make()
        # The project's own files may change meanwhile.
        self.compiler = Compiler(folder)
        self._runner = self._start()

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.compiler.__exit__(kind, error, trace)
        assert self._runner.stdin is not None
        # It ends with its input, after the run that goes on.
        self._runner.stdin.close()
        self._runner.wait()

    def run(self, code: Code, tests: list[str], seconds: float) -> dict[str, Any]:
        """Run tests against a code of the escrow until one fails."""
        assert self._runner.stdin is not None and self._runner.stdout is not None
        asked = {"creation": code.creation, "runtime": code.runtime, "tests": tests, "seconds": seconds}
        self._runner.stdin.write(json.dumps(asked) + "\n")
        self._runner.stdin.flush()
        answer: dict[str, Any] = json.loads(self._runner.stdout.readline())
        return answer

    def _make(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        for name in COPIED:
            source, target = CONTRACTS / name, self._folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, target)
        (self._folder / "node_modules").symlink_to(CONTRACTS / "node_modules")
        (self._folder / "reports").mkdir()
        (self._folder / "home/.brownie").mkdir(parents=True)
        (self._folder / "home/.brownie/network-config.yaml").write_text(NETWORK)

    def _start(self) -> "subprocess.Popen[str]":
        environment = os.environ | {"HOME": str(self._folder / "home")}
        script = str(CONTRACTS / "mutation/trial.py")
        with (self._folder / "runner.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, script],
                cwd=self._folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
