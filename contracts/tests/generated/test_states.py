"""Every state of a rental and every call that leads out of it, found by walking the chain; docs/states.md shows the walk.

WRITE_DOCS=1 writes docs/states.md anew.
"""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from model import Status
from rental import DAY, HOUR, USD
from signing import account_of
from world import revert_to, take_snapshot

SHOWN = Path(__file__).parents[2] / "docs/states.md"
PHASES = ("claims", "disputes", "evidence", "ruling", "silence")
FINISHED = "finished"
HEAD = """# The states of a rental

Found by walking the chain from an opened rental, in every phase and with every call (`tests/generated/test_states.py`, which
also checks this page). Phases, in the order of time: *claims* last until `claim_by`, *disputes* for the challenge window after it,
*evidence* for 48 hours, *ruling* for 7 days, *silence* from then on. A state is named by its bits beside OPEN. A finished rental keeps
DONE in its slot while its id could still open; afterwards the slot is empty.

"""


@dataclass(frozen=True)
class Node:
    status: int
    phase: int
    has_tail: bool


class Explorer:
    """Tries every call in every state. Calls are made as of the phase's first second."""

    def __init__(self, world, sender) -> None:
        self.world = world
        self.sender = sender
        self.edges = defaultdict(set)
        self.seen = set()

    def explore(self, rental, phase: int) -> None:
        slot = self.world.slot(rental)
        node = Node(slot[4], phase, slot[1] > 0)
        if node in self.seen:
            return
        self.seen.add(node)
        for name, arguments, who in self.calls(rental, slot):
            self.attempt(rental, node, name, arguments, who)
        if phase + 1 < len(PHASES):
            snapshot = take_snapshot()
            self.world.mine_at(self.begins(rental, phase + 1))
            self.explore(rental, phase + 1)
            revert_to(snapshot)

    def attempt(self, rental, node, name, arguments, who) -> None:
        function = getattr(self.world.escrow, name)
        try:
            self.world.refusal(function, *arguments, sender=who)
        except AssertionError as accepted:
            assert "was not refused" in str(accepted)
        else:
            return
        snapshot = take_snapshot()
        function(*arguments, {"from": who})
        status = self.world.slot(rental)[4]
        self.edges[name_of(node.status), name, name_of(status)].add(node.phase)
        if status & Status.OPEN:
            self.explore(rental, node.phase)
        revert_to(snapshot)

    @staticmethod
    def begins(rental, phase: int) -> int:
        last_seconds = (rental.claim_by, rental.dispute_by, rental.rule_from, rental.rule_by)
        return last_seconds[phase - 1] + 1

    def calls(self, rental, slot):
        paid, tail, _, _, status = slot
        until = rental.rule_by + DAY
        closing = (paid, 0, until)
        sides = (rental.close(*closing, rental.owner), rental.close(*closing, rental.renter))
        nobody = ("0x" + "00" * 20,) * 2
        disputed = status & Status.DISPUTE and not status & Status.VOID
        ruling = (0 if disputed or status & Status.VOID else tail, 1 if status & Status.DAMAGE else 0)
        readings = (*rental.reading(15 * USD, seq=2), *rental.reading(16 * USD, seq=2))
        relayer, evidence = self.world.relayer, b"\x07" * 32
        yield "close", (rental.terms, closing, *sides, nobody), relayer
        yield "settle", (rental.terms, nobody), relayer
        damage = rental.damage(USD, evidence, rental.owner)
        yield "damage", (rental.terms, USD, evidence, damage), relayer
        yield "dispute", (rental.terms, rental.dispute()), relayer
        yield "voidTail", (rental.pay, rental.rules_hash, *readings), relayer
        yield "rule", (rental.terms, *ruling, nobody), self.sender


def name_of(status: int) -> str:
    if not status & Status.OPEN:
        return FINISHED
    bits = [bit.name for bit in (Status.DAMAGE, Status.DISPUTE, Status.VOID, Status.SPLIT) if status & bit]
    return "_".join(bits) or "OPEN"


def page(edges) -> str:
    """Return the diagram, and the same as a table that says in which phases a call leads where."""
    arrows = "".join(f"    {here} --> {there}: {call}\n" for here, call, there in sorted(edges))
    rows = "".join(
        f"| {here.replace('_', ' ')} | `{call}` | {', '.join(PHASES[each] for each in sorted(phases))} "
        f"| {there.replace('_', ' ')} |\n"
        for (here, call, there), phases in sorted(edges.items())
    )
    diagram = f"```mermaid\nstateDiagram-v2\n    [*] --> OPEN: open\n{arrows}    {FINISHED} --> [*]\n```\n"
    return f"{HEAD}{diagram}\n| from | call | in phase | to |\n|---|---|---|---|\n{rows}"


@pytest.fixture
def walked(world, sender):
    """Walk from a rental with a tail and from one without."""
    rental = world.rental()
    owner = sender(rental.owner)
    world.token.mint(owner, 10 * USD, {"from": world.relayer})
    world.token.approve(world.escrow, 10 * USD, {"from": owner})
    world.escrow.deposit(world.token, account_of(rental.owner), 10 * USD, {"from": owner})
    arbiter = sender(type(rental.owner)("arbiter"))
    explorer = Explorer(world, arbiter)
    explorer.explore(world.opened(), 0)
    with_tail = world.opened(salt=b"\x02" * 32)
    world.next_at(with_tail.starts + HOUR)
    world.claimed(with_tail, 14 * USD, 14 * USD, 10 * USD)
    explorer.explore(with_tail, 0)
    return explorer


def test_the_states_shown_are_those_of_the_chain_and_each_has_a_way_out(walked):
    text = page(walked.edges)
    if os.environ.get("WRITE_DOCS"):
        SHOWN.write_text(text)

    reached = {there for _, _, there in walked.edges} | {"OPEN"}
    # Time alone, by anyone's `settle` in the last phase at the latest.
    way_out = {
        here
        for (here, call, there), phases in walked.edges.items()
        if call == "settle" and there == FINISHED and PHASES.index("silence") in phases
    }

    assert reached - way_out == {FINISHED}
    assert SHOWN.read_text() == text
