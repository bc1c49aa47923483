"""Insertions into a source text that may stand around each other, as brackets do."""

from dataclasses import dataclass, field


@dataclass(order=True)
class _Edit:
    position: int
    rank: tuple[int, int]
    text: str = field(compare=False)
    skip: int = field(compare=False, default=0)


class Edits:
    """Collects insertions from the outermost to the innermost, in terms of the untouched text."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._edits: list[_Edit] = []

    def before(self, position: int, text: str, *, instead_of: int = 0) -> None:
        """Insert before what begins here, after what was inserted here earlier; leave out as many bytes of the text."""
        self._edits.append(_Edit(position, (1, len(self._edits)), text, instead_of))

    def after(self, position: int, text: str) -> None:
        """Insert after what ends here, before what was inserted here earlier."""
        self._edits.append(_Edit(position, (0, -len(self._edits)), text))

    def applied(self) -> str:
        parts = []
        at = 0
        for edit in sorted(self._edits):
            parts += [self.text[at : edit.position], edit.text.encode()]
            at = max(at, edit.position) + edit.skip
        return b"".join([*parts, self.text[at:]]).decode()

    def end_of_statement(self, position: int) -> int:
        """Return where the semicolon at or after this position ends; only blanks and comments may stand before it.

        To the compiler it is no part of a statement, but of `return;` it is.
        """
        if self.text[position - 1 : position] == b";":
            return position
        while (rest := self.text[position : position + 2])[:1] != b";":
            if rest == b"//":
                position = self.text.index(b"\n", position)
            elif rest == b"/*":
                position = self.text.index(b"*/", position) + 2
            elif rest[:1].isspace():
                position += 1
            else:
                raise ValueError(f"no semicolon at byte {position}: {rest!r}")
        return position + 1

    def line(self, position: int) -> int:
        return self.text.count(b"\n", 0, position) + 1

    def words(self, start: int, end: int) -> str:
        return " ".join(self.text[start:end].decode().split())[:60]
