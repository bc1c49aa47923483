"""What is changed in assembly: as in operators, for the compiler's Yul nodes."""

from collections.abc import Callable, Iterator

from literals import neighbours
from syntax import Node, Source

Change = tuple[str, int, int, str]

OTHERS = {
    "add": "sub",
    "sub": "add",
    "mul": "div",
    "div": "mul",
    "shl": "shr",
    "shr": "shl",
    "and": "or",
    "or": "and",
    "lt": "gt",
    "gt": "lt",
}
# Their arguments in another order are another thing, and no other operator makes it.
ORDERED = ("byte", "keccak256", "mstore", "shl", "shr", "sstore", "sub")


def call(source: Source, node: Node) -> Iterator[Change]:
    name, given = node["functionName"]["name"], node["arguments"]
    if name in OTHERS:
        yield "assembly", *source.span(node["functionName"]), OTHERS[name]
    if name == "iszero":
        yield "assembly", *source.span(node), source.of(given[0])
    if name == "eq":
        yield "assembly", *source.span(node), f"iszero({source.of(node)})"
    if name in ORDERED and source.of(given[0]) != source.of(given[1]):
        start, end = source.span(given[0])[0], source.span(given[1])[1]
        yield "assembly", start, end, f"{source.of(given[1])}, {source.of(given[0])}"


def literal(source: Source, node: Node) -> Iterator[Change]:
    if node["kind"] == "number":
        for text in neighbours(source.of(node)):
            yield "assembly", *source.span(node), text


def statement(source: Source, node: Node) -> Iterator[Change]:
    yield "assembly", *source.span(node), ""


OPERATORS: dict[str, Callable[[Source, Node], Iterator[Change]]] = {
    "YulAssignment": statement,
    "YulExpressionStatement": statement,
    "YulFunctionCall": call,
    "YulLiteral": literal,
}
