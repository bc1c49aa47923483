"""A source file's syntax tree as the compiler gives it, and what stands where in the text.

Places are offsets in bytes, as the compiler counts them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]


@dataclass(frozen=True)
class Source:
    path: str
    text: bytes
    tree: Node

    def span(self, node: Node) -> tuple[int, int]:
        start, length, _ = map(int, node["src"].split(":"))
        return start, start + length

    def of(self, node: Node) -> str:
        start, end = self.span(node)
        return self.text[start:end].decode()

    def line(self, at: int) -> int:
        return self.text.count(b"\n", 0, at) + 1


@dataclass(frozen=True)
class Mutant:
    """One change of one place. `within` is the function or constant that it is made in."""

    path: str
    within: str
    operator: str
    start: int
    end: int
    replacement: str

    def apply(self, text: bytes) -> bytes:
        return text[: self.start] + self.replacement.encode() + text[self.end :]

    def lines(self, text: bytes) -> tuple[str, str]:
        """Return the whole lines that change, before and after."""
        first = text.rfind(b"\n", 0, self.start) + 1
        last = text.find(b"\n", self.end)
        last = len(text) if last < 0 else last
        changed = text[first : self.start] + self.replacement.encode() + text[self.end : last]
        return text[first:last].decode(), changed.decode()


def children(node: Node) -> Iterator[Node]:
    for value in node.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and "nodeType" in each:
                yield each


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from walk(child)


def kinds(node: Node) -> set[str]:
    return {each["nodeType"] for each in walk(node)}
