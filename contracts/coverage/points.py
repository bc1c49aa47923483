"""What can be covered: places in a source that execution reaches or does not, and the marks that tell.

A mark is a static call to an address that nobody has: PREFIX, then the number of a group of points, then the bits of
the points reached. It changes nothing, is allowed in views, and stands in the trace of a call that reverts.
"""

from dataclasses import dataclass
from enum import Enum

PREFIX = "c0fec0fe"
GROUP_HEX = 8
MASK_HEX = 24
MASK_BITS = MASK_HEX * 4


class Kind(Enum):
    FUNCTION = "function"
    STATEMENT = "statement"
    BRANCH = "branch"


@dataclass(frozen=True)
class Point:
    """One place of a source.

    `label` is the function's name, the statement's first words or the branch's condition with its outcome. The branches
    of one decision share `decision`. `refuses` is true where reaching the point means that the call reverts.
    """

    path: str
    line: int
    kind: Kind
    label: str
    group: int
    bit: int
    decision: int = 0
    refuses: bool = False

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}"


def address_of(group: int, mask: int) -> int:
    """Return the address that marks points of a group; a mask of zero is where the mask is added later."""
    return int(f"{PREFIX}{group:0{GROUP_HEX}x}{mask:0{MASK_HEX}x}", 16)
