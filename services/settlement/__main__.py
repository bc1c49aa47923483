"""Run the settlement service alone: ``python -m services.settlement``."""

import services.chassis.green  # noqa: F401  (first: patches the standard library)  # isort: skip

from services.chassis.runner import main
from services.settlement.service import Settlement

if __name__ == "__main__":
    main(Settlement)
