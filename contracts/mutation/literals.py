"""Neighbours of a written number, in its own notation."""

import re

NUMBER = re.compile(r"0x[0-9a-fA-F]+|[0-9][0-9_]*")
# A hash has no lower neighbour that tells more than the upper one.
HASH_DIGITS = 18


def neighbours(text: str) -> list[str]:
    """Return the text with its number one higher and, where that is told apart, one lower."""
    found = NUMBER.match(text)
    if not found:
        return []
    written, rest = found.group(), text[found.end() :]
    value = int(written.replace("_", ""), 0)
    changed = [value + 1]
    if value > 0 and len(written) < HASH_DIGITS:
        changed.append(value - 1)
    return [like(written, each) + rest for each in changed]


def like(written: str, value: int) -> str:
    return f"0x{value:0{len(written) - 2}x}" if written.startswith("0x") else str(value)
