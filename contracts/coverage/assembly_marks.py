"""Marks inside inline assembly: bits of a variable, which is told of where the assembly ends.

Assembly counts on memory, on the last answer's size and on what a pure function may do, so nothing is called from inside.
"""

from collections.abc import Callable, Iterator
from typing import Any

from editing import Edits
from points import MASK_BITS

PLAIN = {"YulExpressionStatement", "YulAssignment", "YulVariableDeclaration"}
JUMPS = {"YulBreak", "YulContinue", "YulLeave"}
EXITS = {"revert", "return", "stop", "invalid", "selfdestruct"}

Node = dict[str, Any]
AddLine = Callable[[int, int], None]
AddBranches = Callable[[int, list[tuple[str, int]]], None]


class Unfollowed(Exception):
    """Something whose coverage cannot be told."""


class Assembly:
    """Marks one block of assembly.

    `add_line(position, bit)` and `add_branches(position, [(label, bit), …])` learn of each point.
    """

    def __init__(self, edits: Edits, variable: str, add_line: AddLine, add_branches: AddBranches) -> None:
        self._edits = edits
        self._variable = variable
        self._add_line = add_line
        self._add_branches = add_branches
        self._bits = 0

    def mark(self, block: Node) -> None:
        for node in nodes_of(block):
            name = (node.get("functionName") or {}).get("name")
            if node["nodeType"] == "YulFunctionDefinition" or name in EXITS:
                line = self._edits.line(span(node)[0])
                raise Unfollowed(f"line {line}: assembly that leaves its block is not followed")
        self._block(block)

    def _block(self, block: Node) -> None:
        """Mark each run of statements once: none of them can keep the next from being reached."""
        bit: int | None = None
        for node in block["statements"]:
            kind = node["nodeType"]
            start = span(node)[0]
            if kind == "YulBlock":
                self._block(node)
                bit = None
                continue
            if bit is None:
                bit = self._new_bit()
                self._edits.before(start, self._set(bit))
            self._add_line(start, bit)
            if kind not in PLAIN:
                bit = None
            if kind not in PLAIN | JUMPS:
                {"YulIf": self._if, "YulSwitch": self._switch, "YulForLoop": self._for}[kind](node)

    def _if(self, node: Node) -> None:
        """Make it a switch, which has a place for the other outcome."""
        start, _ = span(node)
        taken, passed = self._new_bit(), self._new_bit()
        self._branches_of(start, node["condition"], taken, passed)
        self._edits.before(start, "switch", instead_of=len("if"))
        self._edits.after(span(node["condition"])[1], f" case 0 {{{self._set(passed)}}} default")
        self._open(node["body"], self._set(taken))

    def _switch(self, node: Node) -> None:
        start, end = span(node)
        words = self._edits.words(*span(node["expression"]))
        outcomes = []
        for case in node["cases"]:
            bit = self._new_bit()
            value = case["value"]
            outcomes.append((f"{words} is {value if value == 'default' else value['value']}", bit))
            self._open(case["body"], self._set(bit))
        if all(case["value"] != "default" for case in node["cases"]):
            bit = self._new_bit()
            outcomes.append((f"{words} is something else", bit))
            self._edits.after(end, f" default {{{self._set(bit)}}}")
        self._add_branches(start, outcomes)

    def _for(self, node: Node) -> None:
        """Move the condition into the body, where both outcomes have a place."""
        taken, passed = self._new_bit(), self._new_bit()
        start, end = span(node["condition"])
        self._branches_of(start, node["condition"], taken, passed)
        condition = self._edits.text[start:end].decode()
        self._edits.before(start, "1", instead_of=end - start)
        leave = f" if iszero({condition}) {{{self._set(passed)}break }}"
        self._open(node["body"], leave + self._set(taken))

    def _open(self, body: Node, text: str) -> None:
        self._edits.before(span(body)[0] + 1, text)
        self._block(body)

    def _branches_of(self, position: int, condition: Node, taken: int, passed: int) -> None:
        words = self._edits.words(*span(condition))
        self._add_branches(position, [(f"{words} is true", taken), (f"{words} is false", passed)])

    def _set(self, bit: int) -> str:
        return f" {self._variable} := or({self._variable}, {1 << bit:#x}) "

    def _new_bit(self) -> int:
        if self._bits == MASK_BITS:
            raise Unfollowed(f"a block of assembly has more than {MASK_BITS} points")
        self._bits += 1
        return self._bits - 1


def span(node: Node) -> tuple[int, int]:
    """Return where a node begins and ends, in bytes."""
    start, length, _ = map(int, node["src"].split(":"))
    return start, start + length


def nodes_of(tree: Any) -> Iterator[Node]:
    if isinstance(tree, dict):
        if "nodeType" in tree:
            yield tree
        for branch in tree.values():
            yield from nodes_of(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from nodes_of(branch)
