"""A process that opens messages and that some message kills, as a fault in a library's C code would.

Another has it fall silent first and end later, and one meets a fault in our own code.
"""

import os
import signal
import sys
import time

from services.metering import opening_process
from services.metering.wire import Incoming, Opened, open_message

POISON = b"poison"
FAULT = b"fault"
SILENCER = b"silencer"
SILENT_SECONDS = 1.0


def open_or_die(incoming: Incoming, *, largest: int, slack_seconds: float) -> Opened:
    """Open a message, unless it is one that kills."""
    if incoming.payload == POISON:
        os.kill(os.getpid(), signal.SIGKILL)
    if incoming.payload == FAULT:
        raise ArithmeticError("a fault of ours")
    if incoming.payload == SILENCER:
        os.close(sys.stdout.fileno())
        time.sleep(SILENT_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)
    return open_message(incoming, largest=largest, slack_seconds=slack_seconds)


if __name__ == "__main__":
    vars(opening_process)["open_message"] = open_or_die
    opening_process.serve(
        sys.stdin.buffer, sys.stdout.buffer, largest=int(sys.argv[1]), slack_seconds=float(sys.argv[2])
    )
