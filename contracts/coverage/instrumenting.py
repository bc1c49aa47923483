"""Solidity with marks: before each statement, at the head of each function, around each condition.

A decision is split at && and || into the conditions that it is made of; each must be seen true and false. Counted are
`if`, `?:`, loops, `require`, `assert`, `&&` and `||` wherever they stand, the clauses of `try`, and the branches of
inline assembly. Not counted is what the compiler adds: overflow checks, the checks of calldata.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from assembly_marks import Assembly, Node, Unfollowed, span
from editing import Edits
from points import Kind, Point, address_of

LIBRARY = "CoverageMarks"
LIBRARY_FILE = f"{LIBRARY}.sol"
BLOCKS = {"Block", "UncheckedBlock"}
LOOPS = {"ForStatement", "WhileStatement", "DoWhileStatement"}
CHECKS = {"require", "assert"}
LIBRARY_SOURCE = f"""// SPDX-License-Identifier: Apache-2.0
pragma solidity >=0.8.0;

/// @dev A static call to an address that nobody has. It is none of a pure function's business, so the compiler is not told.
library {LIBRARY} {{
    function reached(uint256 group) internal pure {{
        told(group | 1);
    }}

    function either(uint256 group, bool outcome) internal pure returns (bool) {{
        told(group | (outcome ? 1 : 2));
        return outcome;
    }}

    function told(uint256 mark) internal pure {{
        function(uint256) internal view viewed = _call;
        function(uint256) internal pure called;
        assembly ("memory-safe") {{
            called := viewed
        }}
        called(mark);
    }}

    function _call(uint256 mark) private view {{
        assembly ("memory-safe") {{
            pop(staticcall(gas(), mark, 0, 0, 0, 0))
        }}
    }}
}}
"""


class Source:
    """One file: `points` are what can be covered in it, `marked` is its text with the marks."""

    def __init__(self, path: str, text: bytes, tree: Node, groups: Iterator[int]) -> None:
        self.points: list[Point] = []
        self._path = path
        self._groups = groups
        self._decisions = count(1)
        self._edits = Edits(text)
        try:
            self._visit(tree)
        except Unfollowed as problem:
            raise Unfollowed(f"{path}: {problem}") from problem
        if self.points:
            up = "../" * (len(PurePosixPath(path).parts) - 2) or "./"
            pragma = next(node for node in tree["nodes"] if node["nodeType"] == "PragmaDirective")
            # Not at the end: Brownie overlooks a contract with something after it.
            self._edits.before(span(pragma)[1], f' import {{{LIBRARY}}} from "{up}{LIBRARY_FILE}";')
        self.marked = self._edits.applied()

    def _visit(self, tree: Any) -> None:
        if isinstance(tree, list):
            for each in tree:
                self._visit(each)
        elif isinstance(tree, dict):
            self._visit_node(tree)

    def _visit_node(self, node: Node) -> None:
        kind = node.get("nodeType")
        if kind == "VariableDeclaration" and node.get("constant"):
            return
        if kind in {"FunctionDefinition", "ModifierDefinition"} and node.get("body"):
            self._function(node)
        elif kind in BLOCKS:
            for statement in node["statements"]:
                self._statement(statement)
        elif kind == "IfStatement" or kind in LOOPS:
            self._controlled(node)
        elif kind == "Conditional":
            self._decision(node["condition"])
            self._visit([node["trueExpression"], node["falseExpression"]])
        elif kind == "BinaryOperation" and node["operator"] in {"&&", "||"}:
            self._decision(node)
        elif kind == "FunctionCall" and node["expression"].get("name") in CHECKS:
            self._decision(node["arguments"][0], refuses=True)
            self._visit(node["arguments"][1:])
        elif kind == "TryStatement":
            self._try(node)
        else:
            self._visit(list(node.values()))

    def _function(self, node: Node) -> None:
        self._visit([value for key, value in node.items() if key != "body"])
        start, _ = span(node["body"])
        name = node["name"] or node.get("kind", "")
        group = self._point(span(node)[0], Kind.FUNCTION, name)
        self._edits.before(start + 1, f" {LIBRARY}.reached({mark(group)});")
        self._visit(node["body"])

    def _statement(self, node: Node) -> None:
        kind = node["nodeType"]
        if kind == "InlineAssembly":
            self._assembly(node)
        elif kind in BLOCKS:
            self._visit(node)
        elif kind != "PlaceholderStatement":
            start, end = span(node)
            refuses = kind == "RevertStatement" or called_name(node) == "revert"
            group = self._point(start, Kind.STATEMENT, self._edits.words(start, end), refuses=refuses)
            self._edits.before(start, f"{LIBRARY}.reached({mark(group)}); ")
            self._visit(node)

    def _controlled(self, node: Node) -> None:
        """Mark the condition, and give each body that has none its braces, so that its statement can be marked."""
        if node.get("condition"):
            self._decision(node["condition"])
        for header in ("initializationExpression", "loopExpression"):
            self._visit(node.get(header))
        for name in ("trueBody", "falseBody", "body"):
            body = node.get(name)
            if not body:
                continue
            if body["nodeType"] in BLOCKS:
                self._visit(body)
            else:
                start, _ = span(body)
                self._edits.before(start, "{ ")
                self._edits.after(self._end(body), " }")
                self._statement(body)

    def _end(self, node: Node) -> int:
        """Return where a statement ends, its semicolon included."""
        kind = node["nodeType"]
        if kind in BLOCKS or kind in {"TryStatement", "InlineAssembly"}:
            return span(node)[1]
        if kind == "IfStatement":
            return self._end(node.get("falseBody") or node["trueBody"])
        if kind in {"ForStatement", "WhileStatement"}:
            return self._end(node["body"])
        return self._edits.end_of_statement(span(node)[1])

    def _decision(self, node: Node, *, refuses: bool = False) -> None:
        kind = node["nodeType"]
        if kind == "BinaryOperation" and node["operator"] in {"&&", "||"}:
            self._decision(node["leftExpression"], refuses=refuses and node["operator"] == "&&")
            self._decision(node["rightExpression"], refuses=refuses)
        elif kind == "UnaryOperation" and node["operator"] == "!":
            self._decision(node["subExpression"])
        elif kind == "TupleExpression" and len(node["components"]) == 1:
            self._decision(node["components"][0], refuses=refuses)
        elif kind != "Literal":
            start, end = span(node)
            words = self._edits.words(start, end)
            group, decision = next(self._groups), next(self._decisions)
            self._branch(start, f"{words} is true", group, 0, decision)
            self._branch(start, f"{words} is false", group, 1, decision, refuses=refuses)
            self._edits.before(start, f"{LIBRARY}.either({mark(group)}, ")
            self._edits.after(end, ")")
            self._visit(node)

    def _try(self, node: Node) -> None:
        self._visit(node["externalCall"])
        decision = next(self._decisions)
        for index, clause in enumerate(node["clauses"]):
            start, _ = span(clause["block"])
            group = next(self._groups)
            label = "the call succeeds" if index == 0 else f"catch {clause['errorName']}".strip()
            self._branch(span(clause)[0], label, group, 0, decision)
            self._edits.before(start + 1, f" {LIBRARY}.reached({mark(group)});")
            self._visit(clause["block"])

    def _assembly(self, node: Node) -> None:
        group = next(self._groups)
        variable = f"coverage{group}"
        start, end = span(node)

        def add_line(position: int, bit: int) -> None:
            line = self._edits.line(position)
            words = self._edits.words(position, self._edits.text.index(b"\n", position))
            self.points.append(Point(self._path, line, Kind.STATEMENT, words, group, bit))

        def add_branches(position: int, outcomes: list[tuple[str, int]]) -> None:
            decision = next(self._decisions)
            for label, bit in outcomes:
                self._branch(position, label, group, bit, decision)

        self._edits.before(start, f"uint256 {variable} = 0; ")
        self._edits.after(end, f" {LIBRARY}.told({mark(group)} | {variable});")
        Assembly(self._edits, variable, add_line, add_branches).mark(node["AST"])

    def _point(self, position: int, kind: Kind, label: str, *, refuses: bool = False) -> int:
        group = next(self._groups)
        line = self._edits.line(position)
        self.points.append(Point(self._path, line, kind, label, group, 0, refuses=refuses))
        return group

    def _branch(
        self, position: int, label: str, group: int, bit: int, decision: int, *, refuses: bool = False
    ) -> None:
        line = self._edits.line(position)
        self.points.append(Point(self._path, line, Kind.BRANCH, label, group, bit, decision, refuses))


def called_name(node: Node) -> str | None:
    """Return the name that a statement calls, if that is all it does."""
    call = node.get("expression") or {}
    name = (call.get("expression") or {}).get("name") if call.get("nodeType") == "FunctionCall" else None
    return str(name) if name else None


def mark(group: int) -> str:
    # As wide as a word: an address literal would have to be checksummed.
    return f"0x{address_of(group, 0):064x}"
