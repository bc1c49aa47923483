"""Whether the money is right after a load: every bill, every account, and the platform's own books."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from hireling.rental.bill import SignedBill
from hireling.rental.tariff import price
from loadtests.load.machines import ROWS
from services.embedded.books import Account, Books, Outcome, leaks
from services.embedded.children import inherited

PAGE = 200
OPERATOR_WITHIN = 300.0


def accounts(http: httpx.Client, *, renters: Sequence[str], owners: Sequence[str]) -> Books:
    """Return what everybody has: the renters together, each owner, the platform's fees, and the escrow."""
    platform = http.get("/v1/platform").raise_for_status().json()
    each = [_account(http, address) for address in renters]
    together = Account(
        balance=sum(account.balance for account in each), credit=sum(account.credit for account in each)
    )
    return {
        "renter": together,
        **{owner: _account(http, owner) for owner in sorted(set(owners))},
        "platform": _account(http, platform["fee_to"]),
        "escrow": _account(http, platform["escrow"]),
    }


def wrong(
    http: httpx.Client,
    rentals: Sequence[Mapping[str, Any]],
    *,
    before: Books,
    environment: Mapping[str, str],
) -> list[str]:
    """Return everything that is not as it must be, in words."""
    found, outcomes = [], []
    owners = [name for name in before if name.startswith("0x")]
    for rental in rentals:
        bill = SignedBill.model_validate_json(Path(rental["bill"]).read_bytes()).bill
        found += _wrong_in(http, rental["rental_id"], bill)
        outcomes.append(Outcome(owner=rental["owner"], paid=bill.total, fee=bill.fee))
    renters = json.loads(Path(environment["LOAD_WALLETS"]).read_text())
    found += leaks(before, accounts(http, renters=renters, owners=owners), outcomes)
    for verb in ("health", "reconcile", "queues"):
        told = _operator(verb, environment)
        if verb == "queues":
            parked = sum(queue["parked"] for queue in told["found"])
            found += [f"{parked} events are parked"] if parked else []
        elif not told["well"]:
            found.append(f"operator {verb}: {told['summary']} {told['found'][:3]}")
    return found


def _wrong_in(http: httpx.Client, rental_id: str, bill: Any) -> list[str]:
    """Return what is wrong with one bill: its price, and the readings that metering has of it."""
    found = []
    if bill.total != price(bill.rental.offer.tariff, bill.counters):
        found.append(f"{rental_id}: the bill is {bill.total}, its counters cost something else")
    numbers = [signed.reading.seq for signed in bill.readings]
    if numbers != list(range(len(numbers))) or len(numbers) < ROWS:
        found.append(f"{rental_id}: the bill has the readings {numbers}")
    answer = http.get(f"/v1/rentals/{rental_id}/readings", params={"limit": PAGE}).raise_for_status().json()
    if answer["items"] != [signed.model_dump(mode="json") for signed in bill.readings]:
        found.append(f"{rental_id}: metering has other readings than the bill")
    return found


def _account(http: httpx.Client, address: str) -> Account:
    wallet = http.get(f"/v1/wallets/{address}").raise_for_status().json()
    return Account(balance=int(wallet["balance"]), credit=int(wallet["credit"]))


def _operator(verb: str, environment: Mapping[str, str]) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "services.operator", "--json", verb],
        env=inherited(environment),
        stdout=subprocess.PIPE,
        timeout=OPERATOR_WITHIN,
        check=False,
    )
    return json.loads(done.stdout.splitlines()[-1])
