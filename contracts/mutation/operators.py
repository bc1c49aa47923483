"""What is changed in Solidity: each operator takes a node and yields its replacements as (operator, start, end, text)."""

from collections.abc import Callable, Iterator

from literals import neighbours
from syntax import Node, Source, kinds, walk

Change = tuple[str, int, int, str]

# The boundary, and the opposite.
RELATIONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
ARITHMETIC = {
    "+": "-",
    "-": "+",
    "*": "/",
    "/": "*",
    "%": "*",
    "<<": ">>",
    ">>": "<<",
    "|": "&",
    "&": "|",
    "^": "&",
}
LOGIC = {"&&": "||", "||": "&&"}
ASSIGNMENTS = {"+=": ("-=", "="), "-=": ("+=", "="), "|=": ("&=", "="), "&=": ("|=", "=")}
CHECKED = ("+", "-", "*", "+=", "-=", "++", "--")


def binary(source: Source, node: Node) -> Iterator[Change]:
    left, right, operator = node["leftExpression"], node["rightExpression"], node["operator"]
    at = _between(source, left, right, operator)
    for other in RELATIONS.get(operator, ()):
        yield "relation", at, at + len(operator), other
    if operator in ARITHMETIC:
        yield "arithmetic", at, at + len(operator), ARITHMETIC[operator]
    if operator in LOGIC:
        yield "logic", at, at + len(operator), LOGIC[operator]
        for operand in (left, right):
            yield "logic", *source.span(node), source.of(operand)


def assignment(source: Source, node: Node) -> Iterator[Change]:
    operator = node["operator"]
    at = _between(source, node["leftHandSide"], node["rightHandSide"], operator)
    for other in ASSIGNMENTS.get(operator, ()):
        yield "assignment", at, at + len(operator), other


def unary(source: Source, node: Node) -> Iterator[Change]:
    start, end = source.span(node)
    operand = source.of(node["subExpression"])
    if node["operator"] == "!":
        yield "negation", start, end, operand
    if node["operator"] in ("++", "--"):
        other = "--" if node["operator"] == "++" else "++"
        yield "arithmetic", start, end, other + operand if node["prefix"] else operand + other


def condition(source: Source, node: Node) -> Iterator[Change]:
    """Negate a condition that no other operator negates."""
    asked = node["condition"]
    if asked.get("operator") not in RELATIONS and asked.get("operator") != "!":
        yield "negation", *source.span(asked), f"!({source.of(asked)})"


def literal(source: Source, node: Node) -> Iterator[Change]:
    start, end = source.span(node)
    if node["kind"] == "bool":
        yield "constant", start, end, "false" if node["value"] == "true" else "true"
    # An address has a checksum.
    if node["kind"] == "number" and node["typeDescriptions"]["typeString"] != "address":
        for text in neighbours(source.of(node)):
            yield "constant", start, end, text


def statement(source: Source, node: Node) -> Iterator[Change]:
    """Delete it. What no semicolon follows is a part of a loop's head."""
    start, end = source.span(node)
    rest = source.text[end:].lstrip()
    if source.text[end - 1 : end] == b";":
        yield "deletion", start, end, "{}"
    elif rest.startswith(b";"):
        yield "deletion", start, source.text.index(b";", end) + 1, "{}"


def modifier(source: Source, node: Node) -> Iterator[Change]:
    if node.get("kind") == "modifierInvocation":
        yield "deletion", *source.span(node), ""


def call(source: Source, node: Node) -> Iterator[Change]:
    """Swap neighbours of the same type."""
    given = node["arguments"]
    for first, second in zip(given, given[1:], strict=False):
        one, other = source.of(first), source.of(second)
        if _type(first) == _type(second) and one != other:
            start, end = source.span(first)[0], source.span(second)[1]
            between = source.text[source.span(first)[1] : source.span(second)[0]].decode()
            yield "swap", start, end, other + between + one


def function(source: Source, node: Node) -> Iterator[Change]:
    """Take the overflow checks off a body that has them. The other way round would only find checks that never fire."""
    body = node.get("body")
    if not body or "UncheckedBlock" in kinds(body):
        return
    if any(each.get("operator") in CHECKED and each["nodeType"] in ARITHMETIC_NODES for each in walk(body)):
        yield "unchecked", *source.span(body), f"{{ unchecked {source.of(body)} }}"


def _between(source: Source, left: Node, right: Node, operator: str) -> int:
    start = source.span(left)[1]
    return start + source.text[start : source.span(right)[0]].index(operator.encode())


def _type(node: Node) -> str:
    return str(node["typeDescriptions"]["typeString"])


ARITHMETIC_NODES = ("BinaryOperation", "Assignment", "UnaryOperation")
OPERATORS: dict[str, Callable[[Source, Node], Iterator[Change]]] = {
    "Assignment": assignment,
    "BinaryOperation": binary,
    "Conditional": condition,
    "EmitStatement": statement,
    "ExpressionStatement": statement,
    "FunctionCall": call,
    "FunctionDefinition": function,
    "IfStatement": condition,
    "Literal": literal,
    "ModifierInvocation": modifier,
    "Return": statement,
    "RevertStatement": statement,
    "UnaryOperation": unary,
}
