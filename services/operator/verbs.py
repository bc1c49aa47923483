"""The verbs, each returning what was found and whether all is well."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from services.chassis.health import SERVICES, health_of_all
from services.chassis.queues import QueueDesk, parked_queue
from services.chassis.rpc import RpcClient
from services.messages.settlement import OpensPause, Reconciled, RelayerView

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Finding:
    """Rows of a table under their headings, a line that sums them up, and whether all is well."""

    headings: tuple[str, ...]
    rows: list[dict[str, Any]]
    summary: str
    is_well: bool


def health(rpc: RpcClient, *, timeout: float) -> Finding:
    """Ask every service how it is."""
    found = health_of_all(rpc, SERVICES, timeout=timeout)
    rows = [
        {
            "service": name,
            "is": "not well" if "error" in each else "well",
            "unsent events": each.get("unsent_events"),
            "why": each.get("error", ""),
        }
        for name, each in found.items()
    ]
    unwell = [row["service"] for row in rows if row["is"] != "well"]
    summary = f"not well: {', '.join(unwell)}" if unwell else "all services are well"
    if "settlement" not in unwell:
        paused = rpc.call("settlement", "opens", timeout=timeout)
        if paused is not None:
            summary += f"; {_paused(OpensPause.model_validate(paused, strict=False))}"
    return Finding(("service", "is", "unsent events", "why"), rows, summary, not unwell)


def pause(rpc: RpcClient, *, reason: str, timeout: float) -> Finding:
    """Have no new rentals taken."""
    found = OpensPause.model_validate(
        rpc.call("settlement", "pause_opens", reason, timeout=timeout), strict=False
    )
    return Finding((), [], f"{_paused(found)}; running rentals go on", is_well=True)


def resume(rpc: RpcClient, *, timeout: float) -> Finding:
    """Have new rentals taken again."""
    was_paused = rpc.call("settlement", "resume_opens", timeout=timeout)
    return Finding((), [], "new rentals are taken" + ("" if was_paused else ", as before"), is_well=True)


def _paused(found: OpensPause) -> str:
    return f"no new rentals are taken since {found.since:%Y-%m-%d %H:%M} UTC: {found.reason}"


def rotate(rpc: RpcClient, *, timeout: float) -> Finding:
    """Have a new relayer take over."""
    return _relayers(rpc.call("settlement", "rotate_relayer", timeout=timeout))


def relayers(rpc: RpcClient, *, timeout: float) -> Finding:
    """Show who relays, who did and who will."""
    return _relayers(rpc.call("settlement", "list_relayers", timeout=timeout))


def _relayers(told: list[dict[str, Any]]) -> Finding:
    found = [RelayerView.model_validate(each, strict=False) for each in told]
    rows = [
        {
            "relayer": each.address,
            "signs": "yes" if each.signs else "",
            "since": each.since and str(each.since),
        }
        for each in found
    ]
    newest, signing = found[-1], next(each for each in found if each.signs)
    summary = f"{signing.address} signs"
    if newest.number > signing.number:
        summary += (
            f"; {newest.address} takes over once it has 0.1 of the chain's coin and nothing else is under way"
        )
    return Finding(("relayer", "signs", "since"), rows, summary, is_well=True)


def queues(rpc: RpcClient, desk: QueueDesk, *, timeout: float) -> Finding:
    """Show how much waits in each queue of every service, and what was parked."""
    names = _queues(rpc, timeout=timeout)
    waiting = {depth.name: depth for depth in desk.depths(names)}
    parked = {depth.name: depth for depth in desk.depths([parked_queue(name) for name in names])}
    rows = [
        {
            "queue": name,
            "waiting": waiting[name].messages if name in waiting else None,
            "consumers": waiting[name].consumers if name in waiting else None,
            "parked": parked[parked_queue(name)].messages if parked_queue(name) in parked else 0,
        }
        for name in names
    ]
    total = sum(depth.messages for depth in parked.values())
    unheard = [name for name in names if name not in waiting or not waiting[name].consumers]
    parts = [f"{total} parked" if total else "nothing is parked"]
    parts += [f"nobody takes from {name}" for name in unheard]
    return Finding(
        ("queue", "waiting", "consumers", "parked"), rows, "; ".join(parts), not total and not unheard
    )


def parked(desk: QueueDesk, queue: str, *, limit: int) -> Finding:
    """Show what a queue's handler failed at for good."""
    rows = [asdict(message) for message in desk.parked(queue, limit=limit)]
    summary = f"{len(rows)} parked of {queue}; python -m services.operator replay {queue} tries them again"
    return Finding(("tries", "reason", "body"), rows, summary, not rows)


def replay(desk: QueueDesk, queue: str, *, limit: int) -> Finding:
    """Hand what was parked to the queue's handler again."""
    moved = desk.replay(queue, limit=limit)
    return Finding((), [], f"{moved} handed to {queue} again", is_well=True)


def reconcile(rpc: RpcClient, *, page: int, timeout: float, progress: Progress) -> Finding:
    """Hold settlement's books of every rental against the escrow."""
    rows: list[dict[str, Any]] = []
    checked = 0
    last: Reconciled | None = None
    for last in _pages(rpc, page=page, timeout=timeout):
        checked += last.checked
        rows += [difference.model_dump(mode="json") for difference in last.differences]
        progress(checked)
    lacking = max(0, last.held - last.escrowed) if last else 0
    parts = [f"{checked} rentals compared" + (f" as of block {last.block}" if last else "")]
    parts.append(f"{len(rows)} differ" if rows else "none differs")
    if last:
        parts.append(f"the escrow holds {last.held} for open rentals and has {last.escrowed} base units")
    if lacking:
        parts.append(f"{lacking} are missing")
    return Finding(
        ("rental_id", "amount", "books", "chain"), rows, "; ".join(parts), not rows and not lacking
    )


def reread(rpc: RpcClient, *, after: int, timeout: float) -> Finding:
    """Have settlement read the chain's logs again from the block after this one."""
    rpc.call("settlement", "reread", after, timeout=timeout)
    return Finding((), [], f"what follows block {after} is read again; then reconcile", is_well=True)


def _pages(rpc: RpcClient, *, page: int, timeout: float) -> Iterator[Reconciled]:
    cursor: str | None = None
    while True:
        found = Reconciled.model_validate(
            rpc.call("settlement", "reconcile", cursor, page, timeout=timeout), strict=False
        )
        yield found
        cursor = found.next
        if cursor is None:
            return


def _queues(rpc: RpcClient, *, timeout: float) -> list[str]:
    heard = [name for service in SERVICES for name in rpc.call(service, "queues", timeout=timeout)]
    return [f"rpc-{service}" for service in SERVICES] + heard
