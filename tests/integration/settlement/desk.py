"""What drives the chain in settlement, step by step: its rows, its reader, what is due, and its lane."""

from collections.abc import Sequence
from datetime import timedelta

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import Ceiling, SignedCeiling
from hireling.rental.reading import SignedReading
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import to_hex
from services.chassis.database import Database
from services.messages.events.negotiation import Agreed
from services.messages.metering import Refusal
from services.settlement.claims import Batching, Rhythm
from services.settlement.collecting import queue_due
from services.settlement.escrow.chain import Chain
from services.settlement.intake import take_agreement, take_ceiling, take_readings
from services.settlement.lane import Lane
from services.settlement.lane_rows import id_of
from services.settlement.models import AttemptRow, RentalRow, TransactionRow
from services.settlement.moves import Moves
from services.settlement.progress import ceiling_of
from services.settlement.store import Store
from services.settlement.views import refusals_of
from services.settlement.watch import Watch
from tests.builders import a_reading_chain
from tests.chain import DevChain
from tests.chain_rentals import acknowledge, opened
from tests.fakes.clock import FixedClock

STUCK_AFTER = timedelta(seconds=30)
AT_ONCE = Rhythm(every=timedelta(0), patience=timedelta(0), margin=timedelta(minutes=30))
BATCHING = Batching(size=100, age=timedelta(0))
PASSES = 300


class Desk:
    """Settlement's rows, and one life of its process after the other."""

    def __init__(self, database: Database, chain: Chain, *, confirmations: int = 1) -> None:
        self.database = database
        self.chain = chain
        self.moves = Moves(chain.calls)
        self.clock = FixedClock()
        self._confirmations = confirmations
        self.restart()

    def restart(self) -> None:
        """Begin a new life: what the old one knew and did not write down is gone."""
        now, confirmations = self.clock.now, self._confirmations
        self.watch = Watch(database=self.database, chain=self.chain, now=now, confirmations=confirmations)
        self.lane = Lane(
            database=self.database,
            chain=self.chain,
            now=now,
            confirmations=confirmations,
            stuck_after=STUCK_AFTER,
        )

    def begin(self, signed: SignedAgreement) -> None:
        """Take in an agreement."""
        agreed = Agreed(quote_id="quote-1", rental_id=signed.rental_id, signed=signed)
        with self.database.unit_of_work() as session:
            take_agreement(Store(session, now=self.clock.now()), agreed, self.chain.deployment)

    def use(self, signed: SignedAgreement, readings: Sequence[SignedReading], ceiling: SignedCeiling) -> None:
        """Take in what the machine did and what the renter allows."""
        with self.database.unit_of_work() as session:
            store = Store(session, now=self.clock.now())
            take_readings(store, signed.rental_id, readings)
            take_ceiling(store, signed.rental_id, ceiling)

    def ceiling(self, signed: SignedAgreement) -> Ceiling:
        """Return what the renter allows."""
        kept = ceiling_of(self.rental(signed))
        assert kept is not None
        return kept.ceiling

    def poison(self, signed: SignedAgreement, forged: SignedCeiling) -> None:
        """Put another ceiling in the rental's row, as no intake would."""
        with self.database.unit_of_work() as session:
            row = Store(session, now=self.clock.now()).rental(to_hex(signed.rental_id))
            row.ceiling = forged.model_dump(mode="json")

    def follow(self) -> None:
        """Read everything that is confirmed."""
        while self.watch.follow():
            pass

    def queue_due(self) -> None:
        """Queue what is due."""
        chain_time = self.chain.head().time
        with self.database.unit_of_work() as session:
            store = Store(session, now=self.clock.now())
            queue_due(store, self.moves, chain_time=chain_time, rhythm=AT_ONCE, batching=BATCHING)

    def drive(self) -> None:
        """Do once what settlement's timer does all the time."""
        self.follow()
        self.queue_due()
        self.lane.advance()

    def until_paid(self, paid: dict[SignedAgreement, int]) -> None:
        """Drive until the rows say that this is paid, and every transaction is final."""
        for _ in range(PASSES):
            self.drive()
            final = all(row.status in ("confirmed", "refused") for row in self.transactions())
            if final and all(self.rental(signed).paid == amount for signed, amount in paid.items()):
                return
        raise TimeoutError(f"not after {PASSES} passes: {[row.status for row in self.transactions()]}")

    def rental(self, signed: SignedAgreement) -> RentalRow:
        """Return the rental's row."""
        with self.database.snapshot() as session:
            return Store(session, now=self.clock.now()).rental_as_it_is(to_hex(signed.rental_id))

    def refusals(self, signed: SignedAgreement) -> list[Refusal]:
        """Return what was refused of the rental."""
        with self.database.snapshot() as session:
            return refusals_of(Store(session, now=self.clock.now()), to_hex(signed.rental_id))

    def transactions(self) -> list[TransactionRow]:
        """Return all intents, oldest first."""
        with self.database.snapshot() as session:
            store = Store(session, now=self.clock.now())
            return [store.transaction(number) for number in range(1, store.count_transactions("") + 1)]

    def attempts(self, row: TransactionRow) -> list[AttemptRow]:
        """Return the signed transactions of an intent."""
        with self.database.snapshot() as session:
            return Store(session, now=self.clock.now()).attempts([id_of(row)]).get(id_of(row), [])


def rentals_in_use(desk: Desk, chain: DevChain, stranger: Chain, number: int) -> dict[SignedAgreement, int]:
    """Return that many open rentals that ran for three seconds, and what both keys allow of each."""
    found: dict[SignedAgreement, int] = {}
    for each in range(number):
        signed = opened(chain, stranger, salt=keccak256(each.to_bytes(2)))
        desk.begin(signed)
        readings = a_reading_chain(6, signed=signed)[:4]
        desk.use(signed, readings, acknowledge(signed, readings[-1]))
        found[signed] = int(readings[-1].reading.amount_due)
    desk.follow()
    return found
