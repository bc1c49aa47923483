"""How agents tell what they do.

Events with fields, for people on a terminal and for programs that read lines of JSON.
"""

from typing import Protocol

Field = str | int | bool | None | list[str] | dict[str, str]


class Announce(Protocol):
    """Says one event.

    Names are past tense; amounts are in the token's base units, ids are 0x-hex; never a secret.
    """

    def __call__(self, event: str, **fields: Field) -> None: ...


def silent(event: str, **fields: Field) -> None:
    """Say nothing."""
