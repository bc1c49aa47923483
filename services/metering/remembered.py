"""A bounded memory: the entries used last."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Remembered(Generic[Value]):
    """Remembers up to `size` values by name and forgets those that were not used for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[str, Value] = OrderedDict()

    def get(self, name: str) -> Value | None:
        """Return the value, if it is remembered."""
        if name not in self._values:
            return None
        self._values.move_to_end(name)
        return self._values[name]

    def look_up(self, names: Iterable[str]) -> tuple[dict[str, Value], list[str]]:
        """Return the values that are remembered, and the names of those that are not."""
        found: dict[str, Value] = {}
        missing = []
        for name in names:
            value = self.get(name)
            if value is None:
                missing.append(name)
            else:
                found[name] = value
        return found, missing

    def update(self, values: Mapping[str, Value]) -> None:
        """Remember these values."""
        for name, value in values.items():
            self._values[name] = value
            self._values.move_to_end(name)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
