"""Run a service with a wrong clock: ``python -m tests.e2e.faults.skewed SECONDS MODULE``."""

import runpy
import sys
import time
from datetime import UTC, datetime, timedelta

from services.chassis.clock import SystemClock


def main() -> None:
    """Run the module by a clock that is so many seconds ahead, or behind by a negative number."""
    wrong_by, module = int(sys.argv[1]), sys.argv[2]
    right = time.time
    time.time = lambda: right() + wrong_by

    def now(self: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=wrong_by)

    SystemClock.now = now  # type: ignore[method-assign]
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
