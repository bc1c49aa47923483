"""A person's data, gathered from every service: read out into a folder, or erased where nothing keeps it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hireling.durable import make_private_folder, write_atomically
from services.chassis.health import SERVICES
from services.chassis.rpc import RpcClient
from services.messages.errors import Conflict, Invalid
from services.messages.people import ErasedRows, HeldRows, Person
from services.operator.archive import writing
from services.operator.verbs import Finding

ADDRESS = re.compile(r"0x([0-9a-f]{2})+")
PAGE = 500
PERSON = "person.json"
Say = Callable[[str], None]


class People:
    """Asks the services about one person after the other."""

    def __init__(self, rpc: RpcClient, *, timeout: float) -> None:
        self._rpc = rpc
        self._timeout = timeout

    def find(self, address: str) -> tuple[Person, list[dict[str, Any]]]:
        """Return the names by which services know a wallet's holder, and its rentals. Raises Invalid."""
        wallet = address.lower()
        if not ADDRESS.fullmatch(wallet):
            raise Invalid("bad_address", f"{address} is no address: 0x and hexadecimal digits")
        rentals: list[dict[str, Any]] = self._ask("settlement", "rentals_of_person", wallet)
        devices = tuple(self._ask("listing", "devices_of_owner", wallet))
        known = Person(
            address=wallet, rental_ids=tuple(rental["rental_id"] for rental in rentals), devices=devices
        )
        quotes = {*self._ask("negotiation", "quotes_of_person", known.model_dump(mode="json"))}
        quotes |= {rental["quote_id"] for rental in rentals}
        return known.model_copy(update={"quote_ids": tuple(sorted(quotes))}), rentals

    def export(self, address: str, to: Path, *, now: datetime, say: Say) -> Finding:
        """Write everything that services hold of a person to a new folder, as JSON.

        Raises Conflict where there is something.
        """
        person, rentals = self.find(address)
        rows: list[dict[str, Any]] = []
        with writing(to.absolute()) as folder:
            services: dict[str, list[dict[str, Any]]] = {}
            for service in SERVICES:
                say(service)
                held = self._held(service, person)
                services[service] = [each.model_dump(mode="json") for each in held]
                rows += [{"service": service, "table": each.table, "rows": len(each.rows)} for each in held]
            told = {"person": person.model_dump(mode="json"), "at": now.isoformat(), "services": services}
            write_atomically(folder / PERSON, json.dumps(told, indent=1).encode())
            for number, rental in enumerate(rentals, start=1):
                say(f"rental {number} of {len(rentals)}")
                self._export_rental(rental, folder)
        self._note("export", rentals=len(rentals))
        summary = f"{to} has what is held of {person.address}, {len(rentals)} rentals among it"
        return Finding(
            ("service", "table", "rows"), [row for row in rows if row["rows"]], summary, is_well=True
        )

    def would_erase(self, address: str) -> Finding:
        """Tell what would go of a person and what would stay; nothing is changed."""
        person, rentals = self.find(address)
        _require_over(person, rentals)
        rows = [
            {"service": service, "table": each.table, "rows": len(each.rows), "stays": each.kept_because}
            for service in SERVICES
            for each in self._held(service, person)
            if each.rows
        ]
        summary = "nothing is erased without --yes"
        return Finding(("service", "table", "rows", "stays"), rows, summary, is_well=True)

    def erase(self, address: str) -> Finding:
        """Erase what may go of a person, in every service; again changes nothing more.

        Raises Conflict while one of its rentals or sessions runs.
        """
        person, rentals = self.find(address)
        _require_over(person, rentals)
        rows = []
        # Settlement first: it knows best what still runs, and says no before anything is gone.
        for service in sorted(SERVICES, key=lambda name: name != "settlement"):
            told = self._ask(service, "erase_personal_data", person.model_dump(mode="json"))
            done = [ErasedRows.model_validate(each, strict=False) for each in told]
            rows += [{"service": service, **each.model_dump(mode="json")} for each in done]
        erased, kept = (sum(row[name] for row in rows) for name in ("erased", "kept"))
        self._note("erase", erased=erased, kept=kept)
        shown = [row for row in rows if row["erased"] or row["kept"]]
        headings = ("service", "table", "erased", "kept", "kept_because")
        return Finding(headings, shown, f"{erased} rows are erased, {kept} stay", is_well=True)

    def _held(self, service: str, person: Person) -> list[HeldRows]:
        told = self._ask(service, "personal_data", person.model_dump(mode="json"))
        return [HeldRows.model_validate(each, strict=False) for each in told]

    def _export_rental(self, rental: dict[str, Any], folder: Path) -> None:
        rental_id = rental["rental_id"]
        readings = make_private_folder(folder / "readings") / f"{rental_id}.jsonl"
        write_atomically(readings, (f"{json.dumps(each)}\n".encode() for each in self._readings(rental_id)))
        if rental["bill"]:
            bill = make_private_folder(folder / "bills") / f"{rental_id}.json"
            write_atomically(bill, (part.encode() for part in self._bill(rental_id)))

    def _readings(self, rental_id: str) -> Iterator[dict[str, Any]]:
        after: int | None = -1
        while after is not None:
            try:
                page = self._ask("metering", "get_readings", rental_id, after, PAGE)
            except Conflict as error:
                # The retention was quicker: from here on they are kept.
                if error.code != "readings_dropped" or "kept_from" not in error.fields:
                    raise
                after = int(error.fields["kept_from"]) - 1
                continue
            yield from page["items"]
            after = page["next"]

    def _bill(self, rental_id: str) -> Iterable[str]:
        offset, length = 0, None
        while length is None or offset < length:
            part = self._ask("settlement", "get_bill_part", rental_id, offset, length)
            yield part["text"]
            offset, length = offset + len(part["text"]), part["length"]

    def _note(self, action: str, **detail: int) -> None:
        # Never whose: the note of an erasure must not be what is left of the person.
        self._ask("settlement", "note_action", action, detail)

    def _ask(self, service: str, method: str, *arguments: Any) -> Any:
        return self._rpc.call(service, method, *arguments, timeout=self._timeout)


def _require_over(person: Person, rentals: list[dict[str, Any]]) -> None:
    running = [rental["rental_id"] for rental in rentals if not rental["over"]]
    if running:
        raise Conflict(
            "rentals_running",
            f"{len(running)} rentals of {person.address} are not over: {', '.join(running[:5])}",
            rental_ids=running,
        )
