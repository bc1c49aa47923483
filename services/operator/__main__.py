"""``python -m services.operator VERB``: look after a running stack.

Exit codes: 0 all is well, 1 something is not, 2 wrong usage, 3 it could not be found out, 78 wrong settings.
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.chassis.clock import SystemClock
from services.chassis.configuring import configured
from services.chassis.logging import configure_logging
from services.chassis.queues import QueueDesk, require_shared
from services.chassis.rpc import RpcClient
from services.chassis.settings import BusSettings
from services.messages.errors import CallerError, HirelingError
from services.operator import verbs
from services.operator.backup import backup
from services.operator.order import Order, Places
from services.operator.people import People
from services.operator.restore import restore, restore_beside
from services.operator.settings import BackupSettings, OperatorSettings
from services.operator.verbs import Finding

SOME = 20
ALL = 1_000_000
NOT_WELL, WRONG_USAGE, NOT_FOUND_OUT = 1, 2, 3

# These need no running service.
APART = frozenset({"backup", "restore"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.operator", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    offered = parser.add_subparsers(dest="verb", required=True)
    offered.add_parser("health", help="ask every service how it is")
    offered.add_parser("queues", help="how much waits in each queue, and what is parked")
    parked = offered.add_parser("parked", help="what a queue's handler failed at, and why; it stays there")
    replay = offered.add_parser("replay", help="hand what is parked to the queue's handler again")
    for verb, default in ((parked, SOME), (replay, ALL)):
        verb.add_argument("queue", help="as `queues` lists it")
        verb.add_argument("--limit", type=int, default=default, help="at most so many, oldest first")
    offered.add_parser("reconcile", help="hold the books of every rental against the escrow")
    again = offered.add_parser("reread", help="read the chain's logs again, and derive all money from them")
    again.add_argument("block", type=int, help="the last block that is certainly good; 0 for none")
    pause = offered.add_parser("pause", help="take no new rentals; running ones go on to their end")
    pause.add_argument("reason", help="why: whoever wants to rent is told")
    offered.add_parser("resume", help="take new rentals again")
    offered.add_parser("rotate", help="have a new relayer's key take over from the present one")
    offered.add_parser("relayers", help="which relayer's key signs, which did, which will")
    out = offered.add_parser("export", help="write all that is held of a person to a folder, as JSON")
    out.add_argument("address", help="the person's wallet")
    out.add_argument("to", type=Path, help="a folder that does not exist yet")
    gone = offered.add_parser("erase", help="erase what may go of a person; tells what stays, and why")
    gone.add_argument("address", help="the person's wallet")
    gone.add_argument("--yes", action="store_true", help="do it; without, it is only told")
    away = offered.add_parser(
        "backup", help="copy all databases as of one moment, the encrypted keys, the record"
    )
    away.add_argument("to", type=Path, help="a folder that does not exist yet")
    away.add_argument(
        "--cluster", type=Path, help="a checked copy of PostgreSQL's cluster, to be moved into the backup"
    )
    back = offered.add_parser("restore", help="put a backup back, where nothing runs")
    back.add_argument("source", metavar="from", type=Path, help="the backup's folder")
    back.add_argument("--force", action="store_true", help="replace what is there, for good")
    back.add_argument(
        "--served",
        action="store_true",
        help="the cluster is back and runs at OPERATOR_POSTGRES_URL; do the rest",
    )
    return parser


def _apart(arguments: argparse.Namespace, errors: Console) -> Finding:
    """Do what needs no running service."""
    with errors.status(arguments.verb) as status:
        order = Order(
            settings=BackupSettings(),
            places=Places.of_settings(),
            now=SystemClock().now(),
            say=status.update,
        )
        if arguments.verb == "backup":
            return backup(arguments.to, order, cluster=arguments.cluster)
        put_back = restore_beside if arguments.served else restore
        return put_back(arguments.source, order, force=arguments.force)


def _asking(arguments: argparse.Namespace, errors: Console) -> Finding:
    """Do what is done by asking the services."""
    with configured():
        bus = BusSettings()
        desk = require_shared(bus.amqp_uri, is_memory=bus.is_memory)
    rpc = RpcClient(bus.amqp_uri)
    try:
        return _found(arguments, rpc, desk, errors)
    finally:
        rpc.close()


def _found(arguments: argparse.Namespace, rpc: RpcClient, desk: QueueDesk, errors: Console) -> Finding:
    settings = OperatorSettings()
    match arguments.verb:
        case "health":
            return verbs.health(rpc, timeout=settings.call_seconds)
        case "queues":
            return verbs.queues(rpc, desk, timeout=settings.call_seconds)
        case "parked":
            return verbs.parked(desk, arguments.queue, limit=arguments.limit)
        case "replay":
            return verbs.replay(desk, arguments.queue, limit=arguments.limit)
        case "export" | "erase":
            return _of_person(arguments, People(rpc, timeout=settings.call_seconds), errors)
        case _:
            return _of_settlement(arguments, rpc, settings, errors)


def _of_person(arguments: argparse.Namespace, people: People, errors: Console) -> Finding:
    if arguments.verb == "erase":
        return people.erase(arguments.address) if arguments.yes else people.would_erase(arguments.address)
    with errors.status("export") as status:
        now = SystemClock().now()
        return people.export(arguments.address, arguments.to, now=now, say=status.update)


def _of_settlement(
    arguments: argparse.Namespace, rpc: RpcClient, settings: OperatorSettings, errors: Console
) -> Finding:
    match arguments.verb:
        case "pause":
            return verbs.pause(rpc, reason=arguments.reason, timeout=settings.call_seconds)
        case "resume":
            return verbs.resume(rpc, timeout=settings.call_seconds)
        case "rotate":
            return verbs.rotate(rpc, timeout=settings.call_seconds)
        case "relayers":
            return verbs.relayers(rpc, timeout=settings.call_seconds)
        case "reread":
            return verbs.reread(rpc, after=arguments.block, timeout=settings.call_seconds)
        case _:
            with errors.status("comparing") as status:
                return verbs.reconcile(
                    rpc,
                    page=settings.page,
                    timeout=settings.call_seconds,
                    progress=lambda checked: status.update(f"{checked} rentals compared"),
                )


def _show(finding: Finding, console: Console, *, as_json: bool) -> None:
    if as_json:
        whole = {"well": finding.is_well, "summary": finding.summary, "found": finding.rows}
        console.print(json.dumps(whole), soft_wrap=True, markup=False, highlight=False)
        return
    if finding.rows:
        table = Table(*finding.headings)
        for row in finding.rows:
            values = [row[heading] for heading in finding.headings]
            table.add_row(*("" if value is None else str(value) for value in values))
        console.print(table, markup=False)
    console.print(finding.summary, style="" if finding.is_well else "red", markup=False, highlight=False)


def main() -> int:
    """Run the verb; return the exit code."""
    arguments = _parser().parse_args()
    configure_logging()
    console, errors = Console(), Console(stderr=True)
    try:
        finding = (_apart if arguments.verb in APART else _asking)(arguments, errors)
    except CallerError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        return WRONG_USAGE
    except HirelingError as error:
        errors.print(f"could not be found out: {error}", style="red", markup=False)
        return NOT_FOUND_OUT
    _show(finding, console, as_json=arguments.json)
    return 0 if finding.is_well else NOT_WELL


if __name__ == "__main__":
    sys.exit(main())
