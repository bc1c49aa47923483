"""Measure which lines and branches of src/ Brownie's tests reach; too few, or a revert never reached, is an error.

The tests run unchanged, on sources with marks in them and through a door that traces every call for them. Left out are
those marked `gas`, which marks cost too, the walks, and tests of tools. Writes build/coverage/contracts.{txt,lcov}.
Arguments go to pytest; then nothing is enforced but that the tests pass.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from compiling import CONTRACTS, instrumented
from points import Point
from recording import recording
from reporting import Coverage, lcov, problems, table

ROOT = CONTRACTS.parent
BROWNIE = Path(sys.executable).with_name("brownie")
ANVIL = CONTRACTS / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
COPY = CONTRACTS / "cache/coverage"
OUTCOME = ROOT / "build/coverage"
NOT_COPIED = {"src", "build", "cache", "node_modules", "reports"}
# Walks reach what chance leads them to, and a line that only they reach is one that no test is about; the other two are
# about tools.
LEFT_OUT = [f"--ignore=tests/{name}" for name in ("invariants", "generated", "coverage", "mutation")]
LINKED = {"tests", "services", "docs"}
# Twice as quick as without an optimizer, which leaves the most of its work to the next step of the compiler.
OPTIMIZER = {"enabled": True, "runs": 1}
START_SECONDS = 20


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="coverage.sh", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where the network `coverage` is expected")
    options, pytest_arguments = parser.parse_known_args(arguments)
    points = copy_project()
    compile_copy()
    with running_node() as node, recording(node, port=options.port) as (recorder, _):
        passed = run_tests(pytest_arguments)
    coverage = Coverage(points, recorder.reached)
    OUTCOME.mkdir(parents=True, exist_ok=True)
    text = table(coverage)
    (OUTCOME / "contracts.txt").write_text(text + "\n")
    (OUTCOME / "contracts.lcov").write_text(lcov(coverage, "contracts"))
    print(text)
    found = [] if passed else ["the tests failed on the marked sources"]
    if not pytest_arguments:
        found += problems(coverage)
    for problem in found:
        print(f"coverage: {problem}", file=sys.stderr)
    print(f"lines {coverage.line_share}, branches {coverage.branch_share}, reverts {coverage.refusal_share}")
    return 1 if found else 0


def copy_project() -> list[Point]:
    """Lay a project beside this one that differs in its sources; what tests read beyond it is linked."""
    project = COPY / "contracts"
    shutil.rmtree(COPY, ignore_errors=True)
    project.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name in LINKED:
            (COPY / entry.name).symlink_to(entry)
    for entry in CONTRACTS.iterdir():
        if entry.is_dir() and entry.name not in NOT_COPIED:
            shutil.copytree(entry, project / entry.name)
        elif entry.is_file():
            shutil.copy(entry, project / entry.name)
    (project / "node_modules").symlink_to(CONTRACTS / "node_modules")
    config = yaml.safe_load((project / "brownie-config.yaml").read_text())
    config["compiler"]["solc"]["optimizer"] = OPTIMIZER
    (project / "brownie-config.yaml").write_text(yaml.safe_dump(config))

    texts = {str(path.relative_to(CONTRACTS)): path.read_bytes() for path in CONTRACTS.glob("src/**/*.sol")}
    marked, points = instrumented(texts)
    for path, text in marked.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    return points


def compile_copy() -> None:
    run = subprocess.run(
        [BROWNIE, "compile"], cwd=COPY / "contracts", capture_output=True, text=True, check=False
    )
    # Brownie exits 0 when the compiler refuses.
    if "Project has been compiled" not in run.stdout:
        raise RuntimeError(f"the marked sources do not compile:\n{run.stdout}{run.stderr}")


def run_tests(arguments: list[str]) -> bool:
    # Paths first: Brownie adds the whole folder where the first argument is an option.
    command = [str(BROWNIE), "test", *arguments, "-m", "not gas", *LEFT_OUT, "--network", "coverage"]
    return subprocess.run(command, cwd=COPY / "contracts", check=False).returncode == 0


@contextmanager
def running_node() -> Iterator[str]:
    """Run the chain that Brownie starts for its tests, without the limit on code: marks make it longer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ANVIL), "--quiet", "--port", str(port), "--block-base-fee-per-gas", "0"]
    with subprocess.Popen([*command, "--disable-code-size-limit"], stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
