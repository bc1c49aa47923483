"""What an ingest holds in memory while more comes than it can take."""

import argparse
import time
from typing import Any

from loadtests.bench.fleet import Machine, signed_ahead
from loadtests.bench.processes import Watch
from loadtests.bench.rig import running, say

DEVICES = 100
READINGS = 200


def measure_overload(options: argparse.Namespace) -> dict[str, Any]:
    """Publish as fast as the broker takes it, the same readings over and over, as devices without acks do."""
    machines = [Machine.make(number) for number in range(DEVICES)]
    say(f"overload: {options.overload_seconds:.0f} seconds")
    letters = signed_ahead(machines, READINGS)
    with running(machines) as rig:
        watch = Watch(rig.ingests[0].pid)
        with rig.generator(letters, for_seconds=options.overload_seconds) as generator:
            start = time.monotonic()
            generator.communicate()
        watch.close()
        stored, _ = rig.counted()
        say(f"  {time.monotonic() - start:.0f} s until all was answered")
        return {"rss_mib": round(watch.peak_mib, 1), "overload_lost": len(letters) - stored}
