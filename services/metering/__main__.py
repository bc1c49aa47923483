"""Run the metering service alone: ``python -m services.metering``."""

import services.chassis.green  # noqa: F401  (first: patches the standard library)  # isort: skip

from services.chassis.runner import main
from services.metering.service import Metering

if __name__ == "__main__":
    main(Metering)
