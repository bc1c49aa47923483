"""How often a process looks for objects that refer to each other in a circle, which counting never frees."""

import gc

# Python's own is 700 new objects, and all there are after some of these looks.
THRESHOLDS = (100_000, 50, 100)


def collect_seldom() -> None:
    """Leave alone what is here once a process has started, and look for garbage in the rest seldom.

    What a request or a message makes dies with it, and is in hardly any circle: looking for these at every
    700th object took a fifth of an ingest's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
