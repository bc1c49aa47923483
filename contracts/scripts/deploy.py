"""Deploy Hireling's contracts to one chain, at addresses known beforehand; verify them; or write what an explorer asks for.

Safe to run again at any time: what is there is not sent again, and a run that was killed is continued. Nothing is sent to a chain
other than --chain-id, or to one that cannot carry the contracts. The node's URL comes from HIRELING_RPC_URL or --rpc-url.
"""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from eth_utils import is_address, to_checksum_address

from deployment import guard, record, verifying
from deployment.errors import Differs, Refused, Unfinished
from deployment.node import Node, NodeError
from deployment.payer import keystore_account, unlocked_account
from deployment.plan import DEV_CHAIN_ID, Plan, make_plan
from deployment.sending import Patience, Sender

EXIT_REFUSED, EXIT_DIFFERS, EXIT_UNFINISHED = 2, 3, 4


def main(arguments: list[str]) -> int:
    """Run the command line; return 0, 2 refused, 3 other code found, 4 unfinished (run it again)."""
    options = parse(arguments)
    try:
        run(options)
    except Refused as error:
        return fail("refused", error, EXIT_REFUSED)
    except Differs as error:
        return fail("differs", error, EXIT_DIFFERS)
    except (Unfinished, NodeError) as error:
        return fail("unfinished", error, EXIT_UNFINISHED)
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy.sh", description=__doc__)
    parser.add_argument("--chain-id", type=int, required=True, help="the chain you mean; a node of another is refused")
    parser.add_argument("--rpc-url", default=os.environ.get("HIRELING_RPC_URL"), help="or HIRELING_RPC_URL: it may hold a key")
    verbs = parser.add_mutually_exclusive_group()
    verbs.add_argument("--plan", action="store_true", help="print the addresses; asks no node")
    verbs.add_argument("--verify", action="store_true", help="compare the chain's code with this build; needs no key")
    verbs.add_argument("--standard-json", type=Path, metavar="FOLDER", help="write what an explorer verifies by; asks no node")
    payer = parser.add_mutually_exclusive_group()
    payer.add_argument("--keystore", type=Path, metavar="FILE", help="the deployer's encrypted keystore file")
    payer.add_argument("--unlocked", action="store_true", help=f"the node's own account pays (chain {DEV_CHAIN_ID} only)")
    parser.add_argument("--passphrase-file", type=Path, metavar="FILE", help="mode 600; without it you are asked")
    parser.add_argument("--arguments", type=Path, metavar="FILE", help='JSON: {"Contract": {"parameter": value}}')
    parser.add_argument("--token", help="the chain's stable coin that rentals are paid in, for the record")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the record (default: contracts/deployments/CHAIN_ID.json)")
    parser.add_argument("--confirmations", type=int, default=1, help="blocks to wait for, the contracts' own included")
    parser.add_argument("--timeout", type=float, default=600, help="seconds to wait for each step of the chain")
    parser.add_argument("--first-block", type=int, help="where the contracts begin, if the node forgets old blocks")
    parser.add_argument("--install-proxy", action="store_true", help="create the deployment proxy where it is missing")
    parser.add_argument("--new-build", action="store_true", help="deploy beside another build; its record is kept aside")
    parser.add_argument("--yes", action="store_true", help="do not ask before sending")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    plan = make_plan(options.chain_id, read_arguments(options.arguments))
    for name in plan.left_out:
        say(f"{name}: left out, its parameters have no value (--arguments)")
    if options.plan:
        print(json.dumps({step.artifact.name: step.address for step in plan.steps}, indent=2))
    elif options.standard_json:
        for path in record.write_standard_json(options.standard_json, plan):
            say(f"wrote {path}")
    else:
        run_on_chain(options, plan)


def run_on_chain(options: argparse.Namespace, plan: Plan) -> None:
    if not options.rpc_url:
        raise Refused("no node: set HIRELING_RPC_URL or give --rpc-url")
    node = Node(options.rpc_url)
    guard.require_chain(node, options.chain_id)
    if options.verify:
        report(verifying.verify(node, plan))
    else:
        deploy(options, node, plan)


def deploy(options: argparse.Namespace, node: Node, plan: Plan) -> None:
    path = options.out or record.default_path(options.chain_id)
    known = record.read_record(path)
    token = checked_token(node, options.token)
    if known is not None and record.describes_living(node, known):
        if known["build"] == plan.build and all(known.get(step.key) == step.address for step in plan.steps):
            say("deployed already, nothing to send")
            return
        if known["build"] != plan.build and not options.new_build:
            return keep_other_build(options, path, known)
        if any(known.get(step.key, step.address) != step.address for step in plan.steps):
            record.write_atomically(path.with_name(f"{path.stem}.{known['build'][:12]}.json"), known)
    guard.require_abilities(node)
    block, deployer = send(options, node, plan)
    for finding in verifying.verify(node, plan):
        say(f"{finding.step.artifact.name}: verified at {finding.step.address}")
    if block is None:
        block = options.first_block if options.first_block is not None else record.first_block(node, plan)
    facts = record.compose(node, plan, block=block, deployer=deployer, token=token)
    record.write_atomically(path, facts)
    say(f"wrote {path}")


def send(options: argparse.Namespace, node: Node, plan: Plan) -> tuple[int | None, str | None]:
    """Send what is missing; return the first block that holds any of this run's, and who paid."""
    if record.is_complete(node, plan):
        say("all contracts are there, nothing to send")
        return None, None
    guard.require_arguments(node, plan.steps)
    if not options.install_proxy:
        guard.require_proxy(node)
    if not options.unlocked and options.keystore is None:
        raise Refused("nobody pays: name a --keystore")
    confirm(options, node, plan)
    had_some = any(verifying.is_deployed(node, step) for step in plan.steps)
    # Brownie prints; only answers go to standard output.
    with contextlib.redirect_stdout(sys.stderr):
        account = payer_of(options)
        sender = Sender(node, account, Patience(options.timeout, options.confirmations), say)
        if options.install_proxy:
            sender.install_proxy()
        block = sender.deploy(list(plan.steps))
        sender.confirm(node.height() if block is None else block)
    return (None if had_some else block), str(account.address)


def payer_of(options: argparse.Namespace) -> Any:
    if options.unlocked:
        return unlocked_account(options.rpc_url, options.chain_id)
    return keystore_account(options.rpc_url, options.keystore, options.passphrase_file)


def confirm(options: argparse.Namespace, node: Node, plan: Plan) -> None:
    for step in plan.steps:
        say(f"{step.artifact.name}: {step.address} ({step.salt_name})")
    if options.yes or options.chain_id == DEV_CHAIN_ID:
        return
    if not sys.stdin.isatty():
        raise Refused("nobody is there to confirm: give --yes")
    say(f"This creates the contracts above on chain {options.chain_id} by {node}. Type the chain id to go on:")
    if input().strip() != str(options.chain_id):
        raise Refused("not confirmed")


def keep_other_build(options: argparse.Namespace, path: Path, known: dict[str, Any]) -> None:
    """Rentals live where they were opened: a development chain keeps its contracts, elsewhere the operator decides."""
    if options.chain_id != DEV_CHAIN_ID:
        raise Refused(f"{path} names living contracts of build {known['build'][:12]}: --new-build deploys this one beside them")
    say("this chain holds contracts of another build; its rentals stay there")


def checked_token(node: Node, token: str | None) -> str | None:
    if token is None:
        return None
    if not is_address(token) or not node.code(token):
        raise Refused(f"--token {token}: no contract on this chain")
    return str(to_checksum_address(token))


def read_arguments(path: Path | None) -> dict[str, dict[str, Any]]:
    if path is None:
        return {}
    try:
        given: dict[str, dict[str, Any]] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"--arguments {path}: {error}") from error
    return given


def report(findings: list[verifying.Finding]) -> None:
    for finding in findings:
        how = "exact" if finding.is_exact else "same code, other comments or paths"
        whole = "" if finding.is_whole else ", immutables not compared: this node takes no state overrides"
        print(f"{finding.step.artifact.name} {finding.step.address} {how}{whole}")


def say(text: str) -> None:
    print(f"deploy: {text}", file=sys.stderr, flush=True)


def fail(what: str, error: Exception, code: int) -> int:
    say(f"{what}: {error}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
