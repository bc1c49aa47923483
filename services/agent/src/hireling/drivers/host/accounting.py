"""What the operating system says a process has used."""

import os
from pathlib import Path

from hireling.drivers.driver import DriverFailed

NANOSECONDS_PER_MS = 1_000_000
USER_TICKS, SYSTEM_TICKS = 11, 12  # proc(5): utime and stime, counted from the field after the command's name


def cpu_ms(pid: int) -> int:
    """Return the processor time the process has used, in whole milliseconds, rounded down.

    Read from /proc/<pid>/schedstat (nanoseconds); where the kernel keeps none, from /proc/<pid>/stat, whose
    ticks are coarser. Raises DriverFailed when the process is gone.
    """
    try:
        precise = Path(f"/proc/{pid}/schedstat")
        if precise.exists():
            return int(precise.read_text().split()[0]) // NANOSECONDS_PER_MS
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise DriverFailed(f"the operating system no longer knows process {pid}") from error
    ticks = int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
    return ticks * 1000 // os.sysconf("SC_CLK_TCK")
