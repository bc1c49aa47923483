"""Run the listing service alone: ``python -m services.listing``."""

import services.chassis.green  # noqa: F401  (first: patches the standard library)  # isort: skip

from services.chassis.runner import main
from services.listing.service import Listing

if __name__ == "__main__":
    main(Listing)
