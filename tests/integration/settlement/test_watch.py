"""Reading the chain's logs: money follows what is confirmed.

Also where the chain goes back behind what was read.
"""

from datetime import UTC, datetime

import pytest

from hireling.rental.agreement import SignedAgreement
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.messages.events.negotiation import Agreed
from services.settlement.escrow.chain import Chain
from services.settlement.intake import take_agreement, take_readings
from services.settlement.models import RentalRow
from services.settlement.store import Store
from services.settlement.watch import Watch
from tests.builders import RENTER_KEY, a_reading_chain
from tests.chain import DevChain
from tests.chain_rentals import acknowledge, agree, close_call, door, permit, send


class Books:
    """Settlement's rows, and a watch over the chain."""

    def __init__(self, database: Database, chain: Chain, *, confirmations: int = 1) -> None:
        self._database = database
        self._chain = chain
        self.watch = Watch(database=database, chain=chain, now=self.now, confirmations=confirmations)

    def now(self) -> datetime:
        """Return the chain's time."""
        return datetime.fromtimestamp(self._chain.head().time, UTC)

    def begin(self, signed: SignedAgreement) -> None:
        """Take in an agreement."""
        agreed = Agreed(quote_id="quote-1", rental_id=signed.rental_id, signed=signed)
        self._database.work(
            lambda session: take_agreement(Store(session, now=self.now()), agreed, self._chain.deployment)
        )

    def follow(self) -> None:
        """Read everything that is confirmed."""
        while self.watch.follow():
            pass

    def rental(self, signed: SignedAgreement) -> RentalRow:
        """Return the rental's row."""
        with self._database.snapshot() as session:
            return Store(session, now=self.now()).rental_as_it_is(to_hex(signed.rental_id))


def fund(chain: DevChain, relayer: Chain, signed: SignedAgreement) -> None:
    """Open the rental."""
    send(relayer, relayer.calls.mint(RENTER_KEY.identity, signed.agreement.all_in))
    send(relayer, relayer.calls.open(signed, permit(chain, relayer, value=signed.agreement.all_in)))


class TestWatch:
    def test_believes_a_deposit_only_when_it_lies_deep_enough(
        self, chain: DevChain, database: Database
    ) -> None:
        relayer = door(chain)
        books = Books(database, relayer, confirmations=3)
        signed = agree(chain)
        books.begin(signed)
        fund(chain, relayer, signed)
        chain.mine()
        books.follow()
        assert books.rental(signed).state == State.AGREED

        chain.mine()
        books.follow()
        assert books.rental(signed).state == State.FUNDED
        assert books.rental(signed).prepaid == signed.agreement.pay.max_total

    def test_hears_of_an_agreement_after_its_money(self, chain: DevChain, database: Database) -> None:
        relayer = door(chain)
        books = Books(database, relayer)
        signed = agree(chain)
        fund(chain, relayer, signed)
        books.follow()
        books.begin(signed)

        assert books.rental(signed).state == State.FUNDED
        assert books.rental(signed).money == "open"

    @pytest.mark.parametrize("past_the_end", [-20, 3600])
    def test_who_was_away_waits_for_what_machines_did_meanwhile(
        self, chain: DevChain, database: Database, past_the_end: int
    ) -> None:
        relayer = door(chain)
        # The very process, as one that was suspended: it reads the chain before it hears of anything else.
        books = Books(database, relayer)
        signed, late = agree(chain), agree(chain, salt=b"\x02" * 32)
        for rental in (signed, late):
            books.begin(rental)
            fund(chain, relayer, rental)
        books.follow()
        chain.travel_to(signed.agreement.rules.end_by + past_the_end)
        books.follow()
        chain.travel(seconds=60)
        books.follow()
        assert books.rental(signed).state == State.FUNDED

        readings = a_reading_chain(10, signed=signed)
        with database.unit_of_work() as session:
            take_readings(Store(session, now=books.now()), signed.rental_id, readings)
        assert books.rental(signed).state == State.CLOSED

        # Time that passes while one looks.
        for _ in range(2):
            chain.travel(seconds=280)
            books.follow()
        assert books.rental(late).state == State.CANCELLED

    def test_says_of_the_slot_exactly_what_the_escrow_says(self, chain: DevChain, database: Database) -> None:
        relayer = door(chain)
        books = Books(database, relayer)
        signed = agree(chain)
        books.begin(signed)
        fund(chain, relayer, signed)
        readings = a_reading_chain(40, signed=signed)
        for acknowledged, claimed in ((4, 9), (9, 9), (9, 30)):
            call = relayer.calls.claim(
                signed.agreement, readings[claimed], acknowledge(signed, readings[acknowledged])
            )
            send(relayer, call)
            books.follow()
            row, slot = books.rental(signed), relayer.slot(signed.rental_id)
            assert (row.paid, row.tail, row.claim_by) == (slot.paid, slot.tail, slot.claim_by)
            assert (row.funded_bps, row.slot_status) == (slot.funded_bps, int(slot.status))

    def test_derives_the_money_anew_where_the_chain_went_back(
        self, chain: DevChain, database: Database
    ) -> None:
        relayer = door(chain)
        books = Books(database, relayer)
        signed = agree(chain)
        books.begin(signed)
        fund(chain, relayer, signed)
        books.follow()
        readings = a_reading_chain(10, signed=signed)
        with chain.rolled_back():
            claim = relayer.calls.claim(signed.agreement, readings[9], acknowledge(signed, readings[9]))
            send(relayer, claim)
            books.follow()
            assert books.rental(signed).paid == readings[9].reading.amount_due
        chain.mine(3)
        books.follow()

        assert books.rental(signed).paid == 0
        assert books.rental(signed).prepaid == signed.agreement.pay.max_total

        send(relayer, close_call(relayer, signed, use=readings[4].reading.amount_due))
        books.follow()
        row = books.rental(signed)
        assert (row.money, row.paid) == ("done", readings[4].reading.amount_due)
        assert row.refund + row.paid == signed.agreement.all_in

    def test_reads_everything_once_however_often_it_looks(self, chain: DevChain, database: Database) -> None:
        relayer = door(chain)
        books = Books(database, relayer)
        signed = agree(chain)
        books.begin(signed)
        fund(chain, relayer, signed)
        books.follow()
        version = books.rental(signed).version
        chain.mine()
        books.follow()
        books.follow()

        assert books.rental(signed).version == version
