"""The platform's delegate of a machine, as its owner's home remembers it: a file in the machine's folder."""

from datetime import datetime
from pathlib import Path

from hireling.durable import make_private_folder, write_atomically
from hireling.rental.appointment import DelegateOrder

FILE = "delegate.json"


class DelegateFile:
    """The order by which a delegate was appointed, with its bounds; gone once it was revoked."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def read(self) -> DelegateOrder | None:
        """Return what was ordered, whether or not it still holds."""
        try:
            return DelegateOrder.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None

    def standing(self, now: datetime) -> DelegateOrder | None:
        """Return what was ordered and has not expired."""
        order = self.read()
        if order is None or now.timestamp() > order.signed.appointment.valid_until:
            return None
        return order

    def write(self, order: DelegateOrder) -> None:
        """Keep an order, on the disk when this returns."""
        make_private_folder(self._path.parent)
        write_atomically(self._path, order.model_dump_json(indent=1).encode())

    def forget(self) -> None:
        """Keep none any more."""
        self._path.unlink(missing_ok=True)
