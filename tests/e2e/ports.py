"""Ports for servers that a test kills and starts again."""

import random
import socket
from contextlib import ExitStack, suppress

PORTS = range(10_000, 20_000)
# Not the seeded one: tests that run side by side share its seed, and would choose the same ports.
_CHANCE = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """Return ports that nothing uses now; they are held together, so that none comes twice.

    They lie below those of outgoing connections: nothing takes them while who listens there is killed.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in _CHANCE.sample(PORTS, k=len(PORTS)):
            probe = held.enter_context(socket.socket())
            with suppress(OSError):  # in use
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                break
    return found
