"""After any fault: money conserved, no accepted reading lost, every rental over, nothing stuck in silence."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from hireling.device.log import RentalLog
from hireling.device.record_file import LogDamaged
from hireling.rental.bill import SignedBill, verify_bill
from hireling.rental.reading import SignedReading
from hireling.rental.states import TERMINAL, WITHOUT_BILL, State
from hireling.rental.tariff import price
from services.messages.errors import HirelingError
from services.operator.verbs import Finding as Operated
from tests.e2e.faults.scene import ASKED_WITHIN, LOOK_EVERY, Scene, until

PAGE = 200
CALM_WITHIN = 900.0
JUST_AFTER = 1


@dataclass(frozen=True)
class Finding:
    """What a fault left behind; all zero and nothing in words is how it must be."""

    rentals: int
    money_drift: int
    """Base units."""
    lost_readings: int
    stuck_rentals: int
    notes: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was lost and nothing is stuck."""
        return not (self.money_drift or self.lost_readings or self.stuck_rentals or self.notes)


@dataclass
class Books:
    """The accounts as they were, and what was judged already."""

    scene: Scene
    people: dict[str, str] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    unfunded: set[str] = field(default_factory=set)

    def open(self) -> None:
        """Note everybody's money, while nobody rents."""
        facts = self.scene.get("/v1/platform")
        self.issuer = bytes.fromhex(facts["bill_signer"].removeprefix("0x"))
        self.people = {"platform": facts["fee_to"], "escrow": facts["escrow"]}
        for event in self.scene.crowd.events():
            if event["event"] == "device_ready":
                self.people[event["who"]] = event["owner"]
            if event["event"] == "purse":
                self.people[event["who"]] = event["address"]
        self.before = self._wealth()

    def judge(self) -> Finding:
        """Wait until all is calm, and say what does not add up since the last time."""
        notes = list(self._calm())
        rentals = {each["rental_id"]: each for each in self._rentals()}
        fresh = {each: view for each, view in rentals.items() if each not in self.judged}
        waiting = {each for each, view in fresh.items() if _may_still_expire(view)}
        stuck = [
            each for each, view in fresh.items() if view["state"] not in TERMINAL and each not in waiting
        ]
        notes += [f"{each} is {fresh[each]['state']}" for each in stuck]
        unheard = self.scene.crowd.rentals() - set(rentals)
        notes += [f"settlement never heard of {each}" for each in unheard]
        self.judged |= set(fresh) - waiting - set(stuck)
        self.unfunded |= waiting
        bills = {
            each: self._bill(each)
            for each, view in fresh.items()
            if view["state"] in TERMINAL and State(view["state"]) not in WITHOUT_BILL
        }
        lost, lost_notes = self._lost(fresh, bills)
        drift, drift_notes = self._drift(rentals, bills)
        return Finding(
            rentals=len(fresh),
            money_drift=drift,
            lost_readings=lost,
            stuck_rentals=len(stuck) + len(unheard),
            notes=(*notes, *lost_notes, *drift_notes, *self._operators_word()),
        )

    def judge_the_unfunded(self) -> list[str]:
        """Let the time pass in which rentals may be paid that never were; return those that do not expire.

        The chain's clock leaps: nobody can rent afterwards.
        """
        views = [self.scene.get(f"/v1/rentals/{each}") for each in self.unfunded]
        open_ones = [view for view in views if view["state"] not in TERMINAL]
        if not open_ones:
            return []
        due = max(datetime.fromisoformat(view["deadline"]).timestamp() for view in open_ones)
        chain = self.scene.chain
        chain.travel_to(max(int(due), chain.now()) + JUST_AFTER)
        ids = [view["rental_id"] for view in open_ones]
        deadline = time.monotonic() + CALM_WITHIN
        while left := [each for each in ids if self._state(each) not in TERMINAL]:
            if time.monotonic() > deadline:
                return [f"{each} is {self._state(each)}" for each in left]
            time.sleep(LOOK_EVERY)
        return []

    # -- calm

    def _calm(self) -> Iterator[str]:
        """Have nothing new begun, and wait until all that began is over; yield what is not, in words."""
        scene = self.scene
        scene.crowd.hold()
        conditions = {
            "every renter done with its rental": scene.crowd.is_idle,
            "every rental over": self._all_over,
            "every machine done with its rental": lambda: not list(self._logs("rentals")),
            "every event sent and heard": self._nothing_waits,
        }
        deadline = time.monotonic() + CALM_WITHIN
        for what, holds in conditions.items():
            try:
                until(partial(_answers, holds), what, within=max(1.0, deadline - time.monotonic()))
            except AssertionError as error:
                yield str(error)

    def _all_over(self) -> bool:
        views = list(self._rentals())
        return all(view["state"] in TERMINAL or _may_still_expire(view) for view in views)

    def _nothing_waits(self) -> bool:
        health = self.scene.operate("health")
        if not health.is_well or any(row["unsent events"] for row in health.rows):
            return False
        return not self.scene.waits_for_another_try() and not any(
            row["waiting"] for row in self.scene.operate("queues").rows
        )

    # -- money

    def _wealth(self) -> dict[str, int]:
        """Return what each holds or may take from the escrow; the escrow, what it holds beyond that."""
        wallets = {name: self.scene.get(f"/v1/wallets/{address}") for name, address in self.people.items()}
        found = {name: int(each["balance"]) + int(each["credit"]) for name, each in wallets.items()}
        owed = sum(int(each["credit"]) for each in wallets.values())
        return {**found, "escrow": int(wallets["escrow"]["balance"]) - owed}

    def _drift(
        self, rentals: Mapping[str, Mapping[str, Any]], bills: Mapping[str, SignedBill]
    ) -> tuple[int, list[str]]:
        expected = dict(self.before)
        by_address = {address.lower(): name for name, address in self.people.items()}
        for rental_id, signed in bills.items():
            view, bill = rentals[rental_id], signed.bill
            expected[by_address[view["owner"].lower()]] += bill.total - bill.fee
            expected[by_address[view["renter"].lower()]] -= bill.total
            expected["platform"] += bill.fee
        now = self._wealth()
        self.before = now
        wrong = {name: now[name] - expected[name] for name in now if now[name] != expected[name]}
        return sum(abs(each) for each in wrong.values()), [
            f"{name} has {each:+} more than the bills say" for name, each in wrong.items()
        ]

    # -- readings

    def _lost(
        self, fresh: Mapping[str, Mapping[str, Any]], bills: Mapping[str, SignedBill]
    ) -> tuple[int, list[str]]:
        """Hold the machines' own logs against what metering stored and what was billed."""
        lost, notes = 0, []
        for path in [*self._logs("rentals"), *self._logs("rentals/finished")]:
            rental_id = f"0x{path.stem}"
            if rental_id not in fresh:
                continue
            logged, acked = _logged(path)
            stored = self._stored(rental_id)
            numbers = [int(each["reading"]["seq"]) for each in stored]
            kept = {SignedReading.model_validate_json(each).model_dump_json() for each in logged[: acked + 1]}
            here = {SignedReading.model_validate(each, strict=False).model_dump_json() for each in stored}
            if missing := len(kept - here):
                notes.append(f"{missing} of {acked + 1} acknowledged readings of {rental_id} are not stored")
            if numbers != list(range(len(numbers))):
                notes.append(f"{rental_id} is stored as numbers {numbers}")
            lost += missing + (len(numbers) - len(set(numbers)))
            if rental_id in bills:
                notes += self._misbilled(rental_id, bills[rental_id], here)
        return lost, notes

    def _misbilled(self, rental_id: str, signed: SignedBill, stored: set[str]) -> Iterator[str]:
        bill = signed.bill
        verify_bill(signed, issuer=self.issuer)
        if {each.model_dump_json() for each in bill.readings} != stored:
            yield f"the bill of {rental_id} has {len(bill.readings)} readings, metering {len(stored)}"
        if bill.total != price(bill.rental.offer.tariff, bill.counters):
            yield f"the bill of {rental_id} is not its readings' price"

    def _logs(self, where: str) -> Iterator[Path]:
        return self.scene.crowd.home.glob(f"owner-*/devices/*/{where}/*.log")

    def _stored(self, rental_id: str) -> list[Any]:
        kept: list[Any] = []
        while True:
            after = f"&after={len(kept) - 1}" if kept else ""
            page = self.scene.get(f"/v1/rentals/{rental_id}/readings?limit={PAGE}{after}")["items"]
            kept += page
            if len(page) < PAGE:
                return kept

    # -- the marketplace's own word

    def _rentals(self) -> Iterator[Mapping[str, Any]]:
        return self.scene.pages("/v1/rentals")

    def _state(self, rental_id: str) -> State:
        return State(self.scene.get(f"/v1/rentals/{rental_id}")["state"])

    def _bill(self, rental_id: str) -> SignedBill:
        url = f"/v1/rentals/{rental_id}/bill"
        return SignedBill.model_validate_json(self.scene.answer(url).content)

    def _operators_word(self) -> Iterator[str]:
        for verb in ("health", "queues", "reconcile"):
            found = self._asked(verb)
            if not found.is_well:
                yield f"operator {verb}: {found.summary}"

    def _asked(self, verb: str) -> Operated:
        """Return what the operator's tool finds; where it cannot find out, ask again, as an operator does."""
        deadline = time.monotonic() + ASKED_WITHIN
        while True:
            try:
                return self.scene.operate(verb)
            except HirelingError as error:
                if time.monotonic() > deadline:
                    return Operated((), [], f"could not be found out: {error}", is_well=False)
            time.sleep(LOOK_EVERY)


def _answers(holds: Any) -> bool:
    """Return whether it holds, False while nobody can tell."""
    try:
        return bool(holds())
    except (httpx.HTTPError, HirelingError, OSError):
        return False


def _may_still_expire(view: Mapping[str, Any]) -> bool:
    """Return whether a rental is agreed, holds no money, and waits for some until its deadline."""
    return view["state"] == State.AGREED and int(view["funded"]) == 0 and view["deadline"] is not None


def _logged(path: Path) -> tuple[list[str], int]:
    """Return the readings that a machine's log holds, and up to which number they were acknowledged."""
    with tempfile.TemporaryDirectory() as folder:
        # Opening mends a torn end, which is the machine's own to do.
        copy = Path(shutil.copy(path, folder))
        try:
            log = RentalLog.open(copy)
        except LogDamaged:
            return [], -1
        try:
            numbers = range(log._first, log._first + len(log._places))
            return [log._reading(seq).wire for seq in numbers], log.acked
        finally:
            log.close()
