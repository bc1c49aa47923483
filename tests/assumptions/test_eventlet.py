"""What we assume of eventlet."""

import contextvars
import os
import subprocess
import sys
from pathlib import Path

import eventlet
from eventlet.event import Event


def test_an_event_that_is_waited_for_in_vain_returns_none() -> None:
    assert Event().wait(0.001) is None


def test_every_greenlet_has_a_context_of_its_own() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: list[str] = []

    def bind(value: str) -> None:
        variable.set(value)
        eventlet.sleep(0)
        seen.append(variable.get())

    for greenlet in [eventlet.spawn(bind, "first"), eventlet.spawn(bind, "second")]:
        greenlet.wait()
    assert seen == ["first", "second"]
    assert variable.get() == "unset", "logs bind their fields per worker"


def test_a_file_can_be_replaced_where_the_standard_library_is_patched(tmp_path: Path) -> None:
    """Its ``os.fdopen`` closes what it was told to leave open."""
    script = (
        "import eventlet; eventlet.monkey_patch(); from pathlib import Path;"
        "from hireling.durable import write_atomically; import sys;"
        "write_atomically(Path(sys.argv[1]), b'whole')"
    )
    file = tmp_path / "file"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", script, str(file)], check=True, timeout=60, env=environment)
    assert file.read_bytes() == b"whole"
