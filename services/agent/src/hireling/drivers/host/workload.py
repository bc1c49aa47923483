"""The host driver's work: hash a fixed number of blocks, in a child process that dies with its parent.

It says "ready", waits for a line, says one line per finished block and, when done, lives on until its input
ends: only a living process can be asked how much processor time it used.
"""

import ctypes
import hashlib
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)
BLOCK_BYTES = 1 << 20
ROUNDS_PER_BLOCK = 12


def work(blocks: int) -> None:
    """Hash ``blocks`` blocks, twelve megabytes each.

    Every result goes into the next, so that none can be left out.
    """
    block = bytes(BLOCK_BYTES)
    digest = b""
    for done in range(1, blocks + 1):
        for _ in range(ROUNDS_PER_BLOCK):
            digest = hashlib.sha256(digest + block).digest()
        sys.stdout.write(f"{done}\n")
        sys.stdout.flush()


def main() -> None:
    """Run as ``python -m hireling.drivers.host.workload BLOCKS PARENT``."""
    blocks, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return  # the parent died before it could be watched
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if sys.stdin.readline():
        work(blocks)
        sys.stdin.read()


if __name__ == "__main__":
    main()
