"""What is known to be wrong with our images: asked of services that know, that fail, that are not there."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.chain import free_port

PROJECT = Path(__file__).parents[3]
PYTHON = PROJECT / ".venv-supply/bin/python"
FLASK = {
    "vulns": [
        {
            "id": "TEST-2026-1",
            "summary": "it is a test",
            "affected": [{"package": {"name": "flask", "ecosystem": "PyPI"}, "ranges": []}],
        }
    ]
}


@contextmanager
def service(*, vulnerable: str = "", status: int = 200) -> Iterator[str]:
    """Answer as OSV does, and as npm's registry does, that one package is vulnerable, or none."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            about = json.loads(asked) if self.path == "/v1/query" else {}
            answer = FLASK if about.get("package", {}).get("name") == vulnerable else {}
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def audit(url: str, home: Path) -> tuple[int, str]:
    assert PYTHON.exists(), "make supply sets up what asks"
    done = subprocess.run(
        [PYTHON, "-m", "supply.audit", "--osv-url", f"{url}/v1/query"],
        env={
            "PATH": f"{os.environ['PATH']}:{PROJECT / 'contracts/cache/node/bin'}",
            "PYTHONPATH": str(PROJECT / "infra"),
            "HOME": str(home),
            "npm_config_registry": url,
            "npm_config_fetch_retries": "0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    return done.returncode, done.stdout + done.stderr


def test_nothing_is_wrong_where_the_services_know_of_nothing(tmp_path: Path) -> None:
    with service() as url:
        status, told = audit(url, tmp_path)
    assert (status, told.count("nothing is known to be wrong")) == (0, 3), told


def test_a_known_vulnerability_is_named(tmp_path: Path) -> None:
    with service(vulnerable="flask") as url:
        status, told = audit(url, tmp_path)
    assert status == 1, told
    assert "run.lock: vulnerable: flask " in told
    assert "(TEST-2026-1)" in told


def test_no_answer_is_not_that_all_is_well(tmp_path: Path) -> None:
    with service(status=503) as url:
        assert audit(url, tmp_path)[0] == 2
    status, told = audit(f"http://127.0.0.1:{free_port()}", tmp_path)
    assert (status, told.count("nobody knows: ")) == (2, 3), told
