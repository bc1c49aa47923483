"""A process that opens messages and that some message kills, as a fault in a library's C code would."""

import os
import signal
import sys

from services.metering import opening_process
from services.metering.wire import Incoming, Opened, open_message

POISON = b"poison"


def open_or_die(incoming: Incoming, *, largest: int, slack_seconds: float) -> Opened:
    """Open a message, unless it is the one that kills."""
    if incoming.payload == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    return open_message(incoming, largest=largest, slack_seconds=slack_seconds)


if __name__ == "__main__":
    vars(opening_process)["open_message"] = open_or_die
    opening_process.serve(
        sys.stdin.buffer, sys.stdout.buffer, largest=int(sys.argv[1]), slack_seconds=float(sys.argv[2])
    )
