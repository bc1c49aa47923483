"""Settlement prices every reading itself: metering counts, and the device only says what it thinks is due.

Pure.
"""

from hireling.rental.errors import Malformed, ReadingRefused
from hireling.rental.reading import Reading
from hireling.rental.tariff import Tariff, price


def check_amount(tariff: Tariff, *, max_total: int, reading: Reading) -> None:
    """Raise ReadingRefused unless the reading asks what the tariff makes of its counters.

    Where that is more than ``max_total``, all of ``max_total`` is right.

    An amount below is refused too: a bill must follow from its counters, to the base unit.
    """
    try:
        due = price(tariff, reading.sample.counters)
    except Malformed as error:
        raise ReadingRefused("malformed", f"number {reading.seq}: {error}") from error
    if reading.amount_due in (due, min(due, max_total)):
        return
    detail = f"number {reading.seq} asks {reading.amount_due}, the tariff makes {due}"
    raise ReadingRefused("amount_above_tariff" if reading.amount_due > due else "malformed", detail)
