"""The lines by which a fault run cuts one process off from one server."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.e2e.faults.lines import LOOPBACK, Line, Lines
from tests.e2e.ports import free_ports

SOON = 0.3  # seconds in which what is not held back would long have come
WITHIN = 10.0


@pytest.fixture
def heard() -> list[bytes]:
    """Return what the server was sent."""
    return []


@pytest.fixture
def line(heard: list[bytes]) -> Iterator[Line]:
    """Return an open line to a server that sends back whatever it hears."""
    lines = Lines(free_ports(1))
    with socket.create_server((LOOPBACK, 0)) as server:
        threading.Thread(target=serve, args=(server, heard), daemon=True).start()
        yield lines.to(server.getsockname()[1], name="test")
        lines.close()


def serve(server: socket.socket, heard: list[bytes]) -> None:
    """Serve one connection after the other, until the server is closed."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo, args=(connection, heard), daemon=True).start()


def echo(connection: socket.socket, heard: list[bytes]) -> None:
    """Send back whatever comes."""
    with connection:
        try:
            while data := connection.recv(100):
                heard.append(data)
                connection.sendall(data)
        except OSError:
            return


def client(line: Line) -> socket.socket:
    """Return a connection over the line."""
    return socket.create_connection((LOOPBACK, line.port), timeout=WITHIN)


def answer(connection: socket.socket, *, within: float = WITHIN) -> bytes | None:
    """Return what comes, None where nothing does."""
    connection.settimeout(within)
    try:
        return connection.recv(100)
    except TimeoutError:
        return None


def test_a_silent_line_holds_everything_and_then_delivers_it(line: Line, heard: list[bytes]) -> None:
    with client(line) as old:
        old.sendall(b"one")
        assert answer(old) == b"one"
        line.silence()
        old.sendall(b"two")
        with client(line) as new:
            new.sendall(b"three")
            assert answer(old, within=SOON) is None
            assert answer(new, within=SOON) is None
            assert heard == [b"one"]
            line.open()
            assert (answer(old), answer(new)) == (b"two", b"three")


def test_answers_alone_can_be_lost(line: Line, heard: list[bytes]) -> None:
    with client(line) as connection:
        connection.sendall(b"one")
        assert answer(connection) == b"one"
        line.swallow_answers()
        connection.sendall(b"two")
        assert answer(connection, within=SOON) is None
        assert heard == [b"one", b"two"]
        line.reset()
        with pytest.raises(ConnectionResetError):
            answer(connection)


def test_a_reset_line_breaks_connections_and_refuses_new_ones_until_it_is_opened(line: Line) -> None:
    with client(line) as connection:
        connection.sendall(b"one")
        assert answer(connection) == b"one"
        line.reset()
        with pytest.raises(ConnectionResetError):
            answer(connection)
    with pytest.raises(ConnectionRefusedError):
        client(line)
    line.open()
    with client(line) as again:
        again.sendall(b"two")
        assert answer(again) == b"two"
