"""Run the negotiation service alone: ``python -m services.negotiation``."""

import services.chassis.green  # noqa: F401  (first: patches the standard library)  # isort: skip

from services.chassis.runner import main
from services.negotiation.service import Negotiation

if __name__ == "__main__":
    main(Negotiation)
