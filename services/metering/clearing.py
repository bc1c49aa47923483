"""An operator looked at a rental's flags and found nothing wrong.

    python -m services.metering.clearing 0x… --because "the plug's firmware rounds"

Writes into metering's database (METERING_DATABASE_URL), and the running service tells settlement: from then
on the flags hold nothing. What they said, when and why they were cleared stays.
"""

import argparse
import sys
from collections.abc import Sequence

from services.chassis.clock import SystemClock
from services.chassis.database import open_database
from services.chassis.settings import DatabaseSettings
from services.metering.judging import clear_flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Clear a rental's flags; return 0 where there were some, 1 where there were none."""
    parser = argparse.ArgumentParser(prog="python -m services.metering.clearing", description=__doc__)
    parser.add_argument("rental_id", help="0x-hex")
    parser.add_argument("--because", required=True, help="what was looked at, and found to be right")
    wanted = parser.parse_args(arguments)
    database = open_database(DatabaseSettings.of("metering").database_url)
    with database.unit_of_work() as session:
        cleared = clear_flags(session, wanted.rental_id, because=wanted.because, now=SystemClock().now())
        lines = [f"cleared {row.code} of reading {row.seq}: {row.reason}" for row in cleared]
    database.close()
    sys.stdout.write("\n".join([*lines, ""]) if lines else "no flag stands\n")
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main())
