"""What settlement shows of itself: rentals and money, and whether the chain agrees."""

from typing import Any

from sqlmodel import Session

from hireling.rental.typed_data import to_hex
from services.chassis.entrypoints import rpc, timer
from services.chassis.providers import Lasting
from services.chassis.service import Service
from services.messages.errors import Invalid
from services.messages.people import Person
from services.settlement import metrics, opening, people, progress, rotating
from services.settlement.books import money_by
from services.settlement.office import Office, office_of
from services.settlement.reconciling import chain_asked
from services.settlement.settings import ChainSettings, SettlementSettings
from services.settlement.store import Store

LARGEST_PAGE = 200
# Five rentals a second, each one call of the node: a thousand are compared in 200 seconds.
COMPARED_AT_ONCE = 25


class Auditing(Service):
    """The entrypoints of whoever looks after the stack."""

    personal = people.TABLES

    settings: SettlementSettings = Lasting(SettlementSettings)
    chain_settings: ChainSettings = Lasting(ChainSettings)

    @rpc
    def reconcile(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return a page of rentals held against the escrow; begin with no cursor, go on with ``next``."""
        if not 1 <= limit <= LARGEST_PAGE:
            raise Invalid("limit_out_of_range", f"a page has 1 to {LARGEST_PAGE} rentals, not {limit}")
        reconciliation = self._office.reconciliation(self.database, self.clock.now)
        return reconciliation.page(cursor, limit=limit).model_dump(mode="json")

    @rpc
    def reread(self, after: int) -> None:
        """Read the chain's logs again from the block after this one, and derive the money anew from them.

        Raises Conflict where the chain has no such block, Unavailable while it does not answer.
        """
        with chain_asked():
            self._office.watch(self.database, self.clock.now).reread(after=after)

    @rpc
    def money_held(self, rental_id: str) -> str:
        """Return where a rental's money is by the confirmed logs: "none", "open" or "done".

        Of any rental of this escrow, whether it is known here or not.
        """
        with self.database.snapshot() as session:
            logs = Store(session, now=self.clock.now()).logs_of(rental_id)
        return money_by(log.name for log in logs)

    @rpc
    def opens(self) -> dict[str, Any] | None:
        """Return since when and why no new rental is taken; None while they are."""
        with self.database.snapshot() as session:
            found = opening.pause_of(session)
        return None if found is None else found.model_dump(mode="json")

    @rpc
    def pause_opens(self, reason: str) -> dict[str, Any]:
        """Take no new rentals until they are resumed; running ones go on to their end.

        Again only changes the reason.
        """
        if not reason.strip():
            raise Invalid("no_reason", "say why: whoever wants to rent is told")
        with self.database.unit_of_work() as session:
            return opening.pause(session, reason.strip(), now=self.clock.now()).model_dump(mode="json")

    @rpc
    def resume_opens(self) -> bool:
        """Take new rentals again; return whether they were paused."""
        with self.database.unit_of_work() as session:
            return opening.resume(session, now=self.clock.now())

    @rpc
    def rotate_relayer(self) -> list[dict[str, Any]]:
        """Have a new relayer take over once it has coin for gas; return all of them.

        While one is to take over, no other is made.
        """
        office, now = self._office, self.clock.now()
        with self.database.unit_of_work() as session:
            if rotating.waiting(session) is None:
                number = rotating.current(session) + 1
                row = rotating.begin(session, office.address_of(number), number=number, now=now)
                opening.note_action(session, "rotate_relayer", {"address": row.address}, now=now)
                session.flush()
            found = rotating.relayers(session, first=office.address_of(0))
        return [each.model_dump(mode="json") for each in found]

    @rpc
    def list_relayers(self) -> list[dict[str, Any]]:
        """Return the relayers in order."""
        with self.database.snapshot() as session:
            found = rotating.relayers(session, first=self._office.address_of(0))
        return [each.model_dump(mode="json") for each in found]

    @rpc
    def rentals_of_person(self, address: str) -> list[dict[str, Any]]:
        """Return a wallet's rentals, on whichever side it is, their sessions, and whether they are over."""
        with self.database.snapshot() as session:
            return [
                {
                    "rental_id": row.rental_id,
                    "quote_id": row.quote_id,
                    "over": people.is_over(row),
                    "bill": row.billed,
                }
                for row in people.rentals_of(session, address)
            ]

    @rpc
    def note_action(self, action: str, detail: dict[str, Any]) -> None:
        """Keep what an operator did by hand."""
        with self.database.unit_of_work() as session:
            opening.note_action(session, action, detail, now=self.clock.now())

    def require_erasable(self, session: Session, person: Person) -> None:
        """Raise Conflict while a rental of this person runs."""
        people.require_erasable(session, person.address)

    @timer(interval=5.0)
    def measure(self) -> None:
        """Show rentals and money, where this copy drives the chain."""
        office = self._office
        if not office.holds_lease(self.database, self.clock.now):
            metrics.show_nothing()
            return
        with self.database.snapshot() as session:
            store = Store(session, now=self.clock.now())
            held = [progress.held_of(row) for row in store.rentals_with_open_money()]
            money = metrics.money_of(held, paid=store.paid_so_far())
            rentals = store.count_rentals()
            is_paused = opening.pause_of(session) is not None
        metrics.show(rentals=rentals, money=money, token=to_hex(office.chain.deployment.token))
        metrics.OPENS_PAUSED.set(is_paused)
        with chain_asked():
            metrics.show_fuel(office.chain.fuel())

    @timer(interval=5.0)
    def compare(self) -> None:
        """Hold the next rentals against the escrow, where this copy drives the chain."""
        office = self._office
        if office.holds_lease(self.database, self.clock.now):
            office.reconciliation(self.database, self.clock.now).advance(limit=COMPARED_AT_ONCE)

    @property
    def _office(self) -> Office:
        return office_of(self.settings, self.chain_settings)
