"""Every mutant of a source file, in the order of its text."""

from collections.abc import Iterator

import assembly
import operators
from syntax import Mutant, Node, Source, children

ALL = {**operators.OPERATORS, **assembly.OPERATORS}
# Declarations of other things hold nothing that runs.
PASSED_OVER = (
    "ErrorDefinition",
    "EventDefinition",
    "ImportDirective",
    "StructDefinition",
    "UsingForDirective",
)


def mutants_of(source: Source) -> list[Mutant]:
    found = {
        (change[1:]): Mutant(source.path, within, *change)
        for within, node in _places(source.tree, "")
        if node["nodeType"] in ALL
        for change in ALL[node["nodeType"]](source, node)
    }
    return sorted(found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.replacement))


def _places(node: Node, within: str) -> Iterator[tuple[str, Node]]:
    kind = node["nodeType"]
    if kind in PASSED_OVER:
        return
    if kind == "FunctionDefinition" or (kind == "VariableDeclaration" and node.get("stateVariable")):
        within = node["name"]
    yield within, node
    for child in children(node):
        yield from _places(child, within)
