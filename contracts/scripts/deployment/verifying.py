"""Whether the code on a chain is the code that was built here. Needs nothing but a node, and sends nothing."""

from dataclasses import dataclass

from deployment.artifacts import without_metadata
from deployment.errors import Differs
from deployment.node import Node, NodeError
from deployment.plan import Plan, Step


@dataclass(frozen=True)
class Finding:
    """A contract that is what it should be."""

    step: Step
    is_exact: bool
    """Whether the compiler's hash of sources and settings is the same too; if not, comments or paths differ."""
    is_whole: bool
    """Whether what the constructor wrote was compared too; some nodes cannot."""


def verify(node: Node, plan: Plan) -> list[Finding]:
    """Compare every contract of the plan at its address. Raises Differs at the first that is not what was built."""
    return [verify_step(node, step) for step in plan.steps]


def verify_step(node: Node, step: Step, at: str | None = None) -> Finding:
    """Compare one contract, at its own or another address: the code but for its immutables, then these."""
    address = at or step.address
    code, built = node.code(address), step.artifact.runtime
    if not code:
        raise Differs(f"{step.artifact.name}: nothing lies at {address}")
    if len(code) != len(built) or without_metadata(step.artifact.masked(code)) != without_metadata(built):
        raise Differs(f"{step.artifact.name}: the code at {address} is not the one built here")
    is_whole = _same_immutables(node, step, address, code)
    return Finding(step, is_exact=step.artifact.masked(code) == built, is_whole=is_whole)


def is_deployed(node: Node, step: Step) -> bool:
    """Tell whether anything lies at the step's address, which only this very creation code can have put there."""
    return bool(node.code(step.address))


def _same_immutables(node: Node, step: Step, address: str, code: bytes) -> bool:
    """Compare what the constructor wrote into the code, by running it again at the same address of the same chain.

    The creation code stands in for the contract in a call that changes nothing, and returns the code it would leave. Return
    False where the node knows no such calls. Raises Differs: other immutables are another domain, or another escrow.
    """
    if not step.artifact.immutables:
        return True
    try:
        expected = node.call_as(address, step.init_code)
    except NodeError:
        return False
    if without_metadata(expected) != without_metadata(code):
        raise Differs(f"{step.artifact.name}: the code at {address} was made for another chain, address or argument")
    return True
