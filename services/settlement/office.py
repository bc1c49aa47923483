"""What settlement has besides rows, made once a process.

The door to the chain with the relayer's key, the bill key, the drivers.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from weakref import WeakKeyDictionary

from hireling.rental.signing import Secp256k1Key
from hireling.rental.typed_data import from_hex, to_hex
from services.chassis.database import Database
from services.chassis.logging import get_logger
from services.chassis.rpc import RpcClient
from services.messages.errors import OperatorError, Refused, Unavailable
from services.messages.settlement import PlatformView, TokenView
from services.settlement import rotating
from services.settlement.billing import Issuing
from services.settlement.claims import Batching, Rhythm
from services.settlement.collecting import queue_due
from services.settlement.escrow.chain import Chain, TokenFacts
from services.settlement.escrow.deployment import Deployment, read_deployment
from services.settlement.escrow.node import Call, ChainUnreachable, Node, NodeRefused, Reverted
from services.settlement.keys import Keys
from services.settlement.lane import Lane
from services.settlement.lease import Lease
from services.settlement.models import TransactionRow
from services.settlement.moves import Moves
from services.settlement.pace import Pace
from services.settlement.reconciling import Reconciliation
from services.settlement.settings import DEV_CHAIN_ID, ChainSettings, SettlementSettings
from services.settlement.store import Store
from services.settlement.watch import Watch

# Wei: below this an alert says that a relayer is short of gas, so none begins with less.
LEAST_FUEL = 10**17
Now = Callable[[], datetime]

_log = get_logger(__name__)


class Office:
    """One process's door to one deployment."""

    def __init__(self, settings: SettlementSettings, chain_settings: ChainSettings) -> None:
        self._keys = Keys(settings)
        self._relayer = 0
        self._token: TokenFacts | None = None
        self._lanes: WeakKeyDictionary[Database, Lane] = WeakKeyDictionary()
        self._issuing: WeakKeyDictionary[Database, Issuing] = WeakKeyDictionary()
        self._reconciliations: WeakKeyDictionary[Database, Reconciliation] = WeakKeyDictionary()
        self.settings = settings
        self.pace = Pace()
        self._lease = Lease(seconds=settings.lease_seconds)
        self._bill_key: Secp256k1Key = self._keys.bills
        self._node = Node(chain_settings.rpc_url, seconds=settings.chain_seconds)
        self._deployment = _deployment(chain_settings)
        self.chain = self._chain_of(self._relayer)
        self.moves = Moves(self.chain.calls)
        _log.info("chain_chosen", chain_id=self.chain.deployment.chain_id, relayer=to_hex(self.chain.relayer))

    def _chain_of(self, relayer: int) -> Chain:
        return Chain(node=self._node, deployment=self._deployment, relayer=self._keys.relayer(relayer))

    def address_of(self, relayer: int) -> str:
        """Return the address of a relayer by its number, whose key is made now where there is none."""
        return to_hex(self._keys.relayer(relayer).identity)

    def serve_as(self, relayer: int) -> None:
        """Sign by this relayer's key from now on."""
        if relayer == self._relayer:
            return
        self._relayer = relayer
        self.chain = self._chain_of(relayer)
        # They hold on to the chain's door.
        self._lanes, self._reconciliations = WeakKeyDictionary(), WeakKeyDictionary()
        _log.info("relayer_chosen", number=relayer, relayer=to_hex(self.chain.relayer))

    @property
    def is_development(self) -> bool:
        """Return whether this is a development chain, where money is play money."""
        return self.chain.deployment.chain_id == DEV_CHAIN_ID

    @property
    def fee_to(self) -> bytes:
        """Return who earns the fee."""
        chosen = self.settings.fee_to
        return self.chain.relayer if chosen is None else from_hex(chosen)

    @property
    def rhythm(self) -> Rhythm:
        """Return how often to claim."""
        settings = self.settings
        return Rhythm(
            every=timedelta(seconds=settings.claim_every),
            patience=timedelta(seconds=settings.close_patience),
            margin=timedelta(seconds=settings.claim_margin),
        )

    @property
    def batching(self) -> Batching:
        """Return how claims share transactions."""
        return Batching(size=self.settings.batch_size, age=timedelta(seconds=self.settings.batch_age))

    def platform(self, *, paused: str | None) -> PlatformView:
        """Return what agents must know of this marketplace; ``paused`` is why it takes no new rentals.

        Raises Unavailable while the chain does not answer.
        """
        try:
            self._token = self._token or self.chain.token()
        except ChainUnreachable as error:
            raise Unavailable("chain_unreachable", str(error)) from error
        deployment, settings = self.chain.deployment, self.settings
        return PlatformView(
            chain_id=deployment.chain_id,
            escrow=deployment.escrow,
            registry=deployment.registry,
            token=TokenView(
                address=deployment.token, symbol=self._token.symbol, decimals=self._token.decimals
            ),
            fee_bps=settings.fee_bps,
            fee_to=self.fee_to,
            arbiter=from_hex(settings.arbiter),
            bill_signer=self._bill_key.identity,
            confirmations=settings.confirmations,
            faucet=self.is_development,
            opens_paused=paused,
        )

    def simulate(self, intent: TransactionRow) -> None:
        """Raise Refused with the contract's reason if the intent would fail now.

        Raises Unavailable while the chain does not answer.
        """
        try:
            self.chain.simulate(Call(to=from_hex(intent.to), data=from_hex(intent.data)))
        except Reverted as error:
            raise Refused("chain_refuses", str(error), kind=intent.kind, error=error.name) from error
        except (ChainUnreachable, NodeRefused) as error:
            raise Unavailable("chain_unreachable", str(error)) from error

    def holds_lease(self, database: Database, now: Now) -> bool:
        """Return whether this copy drives the chain now; the others wait until its lease runs out."""
        return self._lease.holds(database, now=now())

    def drive(self, database: Database, now: Now) -> None:
        """Read the chain, queue what is due, and look after the lane.

        Raises Unavailable; driving again goes on.
        """
        try:
            with database.looks() as session:
                self.serve_as(rotating.current(session))
                is_queued = bool(Store(session, now=now()).queued(limit=1))
            # Asked first: a block that comes meanwhile is seen as news.
            head = self.chain.head()
            is_news = self.pace.is_news(head)
            is_behind = is_news and self._follow(database, now)
            if is_news or is_queued:
                self._drive_lane(database, now)
                self.pace.note_waiting(is_waiting=self.lane(database, now).is_waiting)
            if is_news:
                self.pace.note_followed(None if is_behind else head)
                self.pace.note_paid()
        except (ChainUnreachable, NodeRefused) as error:
            raise Unavailable("chain_unreachable", str(error)) from error

    def _follow(self, database: Database, now: Now) -> bool:
        """Read what is confirmed and queue what follows; return whether there is more than one look reads."""
        if self.is_development:
            self.chain.fill_relayer()
        watch = self.watch(database, now)
        if watch.follow():
            self._queue_due(database, now)
        return watch.is_behind

    def wait_for_news(self) -> None:
        """Wait until the chain is worth a look."""
        self.pace.wait_for_news(self._height)

    def _height(self) -> int | None:
        try:
            return self.chain.height()
        except (ChainUnreachable, NodeRefused):
            return None

    def _drive_lane(self, database: Database, now: Now) -> None:
        """Drive the lane; where another relayer is to take over and has coin, to its end, and hand over."""
        with database.looks() as session:
            waiting = rotating.waiting(session)
        if waiting is None or not self._can_pay(waiting.number):
            self.lane(database, now).advance()
            return
        self.lane(database, now).finish()
        if database.work(lambda session: rotating.take_over(session, waiting.number, now=now())):
            self.serve_as(waiting.number)

    def _can_pay(self, relayer: int) -> bool:
        chain = self._chain_of(relayer)
        if self.is_development:
            chain.fill_relayer()
        return chain.fuel() >= LEAST_FUEL

    def _queue_due(self, database: Database, now: Now) -> None:
        chain_time = self.chain.head().time
        database.work(
            lambda session: queue_due(
                Store(session, now=now()),
                self.moves,
                chain_time=chain_time,
                rhythm=self.rhythm,
                batching=self.batching,
            )
        )

    def lane(self, database: Database, now: Now) -> Lane:
        """Return this process's one lane on the database."""
        if database not in self._lanes:
            self._lanes[database] = Lane(
                database=database,
                chain=self.chain,
                now=now,
                confirmations=self.settings.confirmations,
                stuck_after=timedelta(seconds=self.settings.stuck_after),
            )
        return self._lanes[database]

    def issuing(self, database: Database, remote: RpcClient, now: Now) -> Issuing:
        """Return this process's issuer of bills."""
        if database not in self._issuing:
            self._issuing[database] = Issuing(
                database=database,
                remote=remote,
                key=self._bill_key,
                now=now,
                call_seconds=self.settings.call_seconds,
            )
        return self._issuing[database]

    def reconciliation(self, database: Database, now: Now) -> Reconciliation:
        """Return this process's comparison of the database with the chain."""
        if database not in self._reconciliations:
            self._reconciliations[database] = Reconciliation(database=database, chain=self.chain, now=now)
        return self._reconciliations[database]

    def watch(self, database: Database, now: Now) -> Watch:
        """Return a reader of the chain's logs into the database."""
        return Watch(database=database, chain=self.chain, now=now, confirmations=self.settings.confirmations)


@lru_cache(maxsize=4)
def office_of(settings: SettlementSettings, chain_settings: ChainSettings) -> Office:
    """Return the process's office under these settings.

    Raises OperatorError where the deployment's file is missing or wrong.
    """
    return Office(settings, chain_settings)


def _deployment(settings: ChainSettings) -> Deployment:
    try:
        return read_deployment(settings.deployment)
    except (OSError, ValueError) as error:
        raise OperatorError(
            "no_deployment", f"HIRELING_DEPLOYMENT {settings.deployment} names no contracts: {error}"
        ) from error
