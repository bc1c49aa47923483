"""What settlement shows of itself: rentals and money, and whether the chain agrees."""

from typing import Any

from hireling.rental.typed_data import to_hex
from services.chassis.entrypoints import rpc, timer
from services.chassis.service import Service
from services.messages.errors import Invalid
from services.settlement import metrics, progress
from services.settlement.office import Office, office_of
from services.settlement.reconciling import chain_asked
from services.settlement.settings import ChainSettings, SettlementSettings
from services.settlement.store import Store

LARGEST_PAGE = 200
# Ten rentals a second, each one call of the node: a thousand are compared in under two minutes.
COMPARED_AT_ONCE = 50


class Auditing(Service):
    """The entrypoints of whoever looks after the stack."""

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
        metrics.show(rentals=rentals, money=money, token=to_hex(office.chain.deployment.token))
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
        return office_of(SettlementSettings(), ChainSettings())
