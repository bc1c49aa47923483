"""What an agent's mandates have promised, in one SQLite file that all agents of a home share.

Every step is one transaction that waits for the others' and is on the disk when it returns, so threads and
processes that race on one mandate are counted one after the other, and a crash loses nothing. An agent

1. reserves before it signs,
2. notes the signature before it lets it leave: that fails where the reservation has lapsed or the mandate was
   revoked meanwhile,
3. notes the opening before it asks for it, and in the end what was spent.

A process killed between the first two leaves a reservation that lapses by itself, and no signature.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hireling.durable import make_private_folder
from hireling.rental.documents import document_hash
from hireling.rental.errors import MandateExceeded
from hireling.rental.mandate import (
    UNAPPROVED,
    Clearance,
    SignedMandate,
    SignedRevocation,
    check_not_revoked,
    later,
)
from hireling.rental.reservation import Reservation, Stage, reserve, reserved_of
from hireling.rental.terms import Agreement, rental_id
from hireling.rental.typed_data import Domain

# Fifty agents may stand in line, each for one write to the disk.
PATIENCE_SECONDS = 60.0
PRIVATE_FILE = 0o600
TABLES = (
    """CREATE TABLE IF NOT EXISTS mandate (
        mandate TEXT PRIMARY KEY, signed TEXT NOT NULL, escrow TEXT NOT NULL, chain_id INTEGER NOT NULL,
        standing INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS reservation (
        rental_id TEXT PRIMARY KEY, mandate TEXT NOT NULL REFERENCES mandate(mandate), amount TEXT NOT NULL,
        stage TEXT NOT NULL, lapses_at REAL NOT NULL, fund_by INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS reservation_of_mandate ON reservation (mandate)",
    """CREATE TABLE IF NOT EXISTS revocation (
        principal TEXT NOT NULL, subject TEXT NOT NULL, signed TEXT NOT NULL,
        PRIMARY KEY (principal, subject))""",
)

Step = Callable[[Reservation], Reservation]


@dataclass(frozen=True, kw_only=True)
class Account:
    """A mandate and what became of it so far; amounts in base units."""

    signed: SignedMandate
    reserved: int
    spent: int
    revoked: bool

    @property
    def left(self) -> int:
        """Return what may still be promised in total."""
        return self.signed.limits.total - self.reserved - self.spent


class MandateLedger:
    """One file; open it as often as you like, in any thread or process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    # -- mandates --------------------------------------------------------------------------------------------

    def grant(self, signed: SignedMandate, domain: Domain, now: datetime) -> None:
        """Keep a mandate that later rentals of its principal stand on. Raises RentalError."""
        signed.check(domain, now)
        with self._transaction() as rows:
            _keep_mandate(rows, signed, domain, standing=True)

    def standing(self, principal: bytes, domain: Domain, now: datetime) -> SignedMandate | None:
        """Return the principal's granted mandate that still holds; the one that holds longest of several."""
        with self._transaction() as rows:
            found = rows.execute(
                "SELECT signed FROM mandate WHERE standing AND chain_id = ? AND escrow = ?",
                (domain.chain_id, domain.escrow.hex()),
            )
            granted = [SignedMandate.model_validate_json(text) for (text,) in found]
            good = [
                signed
                for signed in granted
                if signed.principal == principal
                and now.timestamp() <= signed.mandate.valid_until
                and not _is_revoked(rows, signed)
            ]
        return max(good, key=lambda signed: signed.mandate.valid_until, default=None)

    def accounts(self, now: datetime) -> Sequence[Account]:
        """Return every granted mandate with what it has promised, and what was spent under it."""
        with self._transaction() as rows:
            texts = rows.execute("SELECT signed FROM mandate WHERE standing").fetchall()
            return [_account(rows, SignedMandate.model_validate_json(text), now) for (text,) in texts]

    def revoke(self, word: SignedRevocation, domain: Domain) -> None:
        """Keep a principal's word: what it stops is not reserved or signed any more. Raises RentalError."""
        word.check(domain)
        key = (word.principal.hex(), word.revocation.subject.hex())
        with self._transaction() as rows:
            known = rows.execute(
                "SELECT signed FROM revocation WHERE principal = ? AND subject = ?", key
            ).fetchone()
            counts = later(SignedRevocation.model_validate_json(known[0]), word) if known else word
            rows.execute(
                "INSERT OR REPLACE INTO revocation VALUES (?, ?, ?)", (*key, counts.model_dump_json())
            )

    def latest_word_at(self, principal: bytes, subject: bytes) -> int:
        """Return when a principal's known word about this subject was said, Unix seconds; 0 for none."""
        with self._transaction() as rows:
            words = [word.revocation for word in _revocations(rows, principal)]
        return max((word.at for word in words if word.subject == subject), default=0)

    def require_unrevoked(self, signed: SignedMandate) -> None:
        """Raise MandateExceeded where the mandate, its agent or its principal's every agent was stopped."""
        with self._transaction() as rows:
            check_not_revoked(signed, _revocations(rows, signed.principal))

    # -- reservations ----------------------------------------------------------------------------------------

    def reserve(
        self,
        signed: SignedMandate,
        agreement: Agreement,
        *,
        domain: Domain,
        now: datetime,
        clearance: Clearance = UNAPPROVED,
    ) -> None:
        """Reserve for a rental before its agreement is signed; the same again changes nothing.

        Raises MandateExceeded, with the numbers, where the mandate does not allow all of it.
        """
        with self._transaction() as rows:
            check_not_revoked(signed, _revocations(rows, signed.principal))
            mandate = _keep_mandate(rows, signed, domain, standing=False)
            # Gone for good, so that a slow holder whose clock says otherwise finds nothing to sign under.
            rows.execute(
                "DELETE FROM reservation WHERE mandate = ? AND stage = 'reserved' AND lapses_at < ?",
                (mandate, now.timestamp()),
            )
            made = _reservations(rows, mandate)
            this = rental_id(domain, agreement)
            known = next((each for each in made if each.rental_id == this), None)
            if known is not None and known.stage is not Stage.RESERVED:
                return
            others = [each for each in made if each.rental_id != this]
            _keep(
                rows,
                mandate,
                reserve(signed, agreement, domain=domain, now=now, others=others, clearance=clearance),
            )

    def note_signed(self, rental: bytes, now: datetime) -> None:
        """Let a signature leave. Raises MandateExceeded where it must not: lapsed, released or revoked."""
        with self._transaction() as rows:
            mandate, reservation = _required(rows, rental)
            signed = _mandate(rows, mandate)
            check_not_revoked(signed, _revocations(rows, signed.principal))
            _keep(rows, mandate, reservation.signed(now))

    def note_opened(self, rental: bytes) -> None:
        """Note that the escrow holds the rental's money, or is about to; an unknown rental is ignored."""
        self._change(rental, lambda reservation: reservation.opened())

    def note_not_opened(self, rental: bytes) -> None:
        """Note that the escrow, asked to open, did not: the reservation lapses soon after ``fund_by``."""
        self._change(rental, lambda reservation: reservation.not_opened())

    def note_done(self, rental: bytes, *, spent: int) -> None:
        """Note what the rental cost in the end, in base units: the rest is free again."""
        self._change(rental, lambda reservation: reservation.done(spent))

    def release(self, rental: bytes) -> None:
        """Free what was reserved for a rental that never came about."""
        with self._transaction() as rows:
            rows.execute("DELETE FROM reservation WHERE rental_id = ? AND stage != 'done'", (rental.hex(),))

    def reserved(self, signed: SignedMandate, now: datetime) -> int:
        """Return what the mandate has promised and spent, in base units."""
        with self._transaction() as rows:
            return reserved_of(_reservations(rows, _name(signed)), now)

    def reservation(self, rental: bytes) -> Reservation | None:
        """Return a rental's reservation."""
        with self._transaction() as rows:
            found = _find(rows, rental)
        return found[1] if found else None

    def _change(self, rental: bytes, step: Step) -> None:
        with self._transaction() as rows:
            found = _find(rows, rental)
            if found is not None:
                _keep(rows, found[0], step(found[1]))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Open a connection of this step's own, alone with the file until the step is on the disk."""
        make_private_folder(self._path.parent)
        with closing(sqlite3.connect(self._path, timeout=PATIENCE_SECONDS, isolation_level=None)) as rows:
            self._path.chmod(PRIVATE_FILE)
            # Without a write-ahead log there is one file to copy or move, and every commit is on the disk.
            rows.execute("PRAGMA synchronous = FULL")
            rows.execute("BEGIN IMMEDIATE")
            try:
                for table in TABLES:
                    rows.execute(table)
                yield rows
            except BaseException:
                if rows.in_transaction:  # a full disk has rolled back by itself
                    rows.execute("ROLLBACK")
                raise
            rows.execute("COMMIT")


def _name(signed: SignedMandate) -> str:
    return document_hash(signed).hex()


def _keep_mandate(rows: sqlite3.Connection, signed: SignedMandate, domain: Domain, *, standing: bool) -> str:
    name = _name(signed)
    rows.execute(
        "INSERT INTO mandate VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (mandate) DO UPDATE SET standing = standing OR excluded.standing",
        (name, signed.model_dump_json(), domain.escrow.hex(), domain.chain_id, standing),
    )
    return name


def _mandate(rows: sqlite3.Connection, name: str) -> SignedMandate:
    (text,) = rows.execute("SELECT signed FROM mandate WHERE mandate = ?", (name,)).fetchone()
    return SignedMandate.model_validate_json(text)


def _account(rows: sqlite3.Connection, signed: SignedMandate, now: datetime) -> Account:
    made = _reservations(rows, _name(signed))
    return Account(
        signed=signed,
        reserved=reserved_of((each for each in made if each.stage is not Stage.DONE), now),
        spent=sum(each.amount for each in made if each.stage is Stage.DONE),
        revoked=_is_revoked(rows, signed),
    )


def _is_revoked(rows: sqlite3.Connection, signed: SignedMandate) -> bool:
    try:
        check_not_revoked(signed, _revocations(rows, signed.principal))
    except MandateExceeded:
        return True
    return False


def _revocations(rows: sqlite3.Connection, principal: bytes) -> list[SignedRevocation]:
    found = rows.execute("SELECT signed FROM revocation WHERE principal = ?", (principal.hex(),))
    return [SignedRevocation.model_validate_json(text) for (text,) in found]


COLUMNS = "rental_id, amount, stage, lapses_at, fund_by"


def _reservations(rows: sqlite3.Connection, mandate: str) -> list[Reservation]:
    found = rows.execute(f"SELECT {COLUMNS} FROM reservation WHERE mandate = ?", (mandate,))  # noqa: S608  constant
    return [_reservation(row) for row in found]


def _find(rows: sqlite3.Connection, rental: bytes) -> tuple[str, Reservation] | None:
    row = rows.execute(
        f"SELECT mandate, {COLUMNS} FROM reservation WHERE rental_id = ?",  # noqa: S608  constant
        (rental.hex(),),
    ).fetchone()
    return (row[0], _reservation(row[1:])) if row else None


def _required(rows: sqlite3.Connection, rental: bytes) -> tuple[str, Reservation]:
    found = _find(rows, rental)
    if found is None:
        raise MandateExceeded("not_reserved", f"nothing is reserved for rental 0x{rental.hex()}")
    return found


def _reservation(row: tuple[str, str, str, float, int]) -> Reservation:
    rental, amount, stage, lapses_at, fund_by = row
    return Reservation(
        rental_id=bytes.fromhex(rental),
        amount=int(amount),
        stage=Stage(stage),
        lapses_at=datetime.fromtimestamp(lapses_at, UTC),
        fund_by=fund_by,
    )


def _keep(rows: sqlite3.Connection, mandate: str, reservation: Reservation) -> None:
    rows.execute(
        "INSERT OR REPLACE INTO reservation VALUES (?, ?, ?, ?, ?, ?)",
        (
            reservation.rental_id.hex(),
            mandate,
            str(reservation.amount),
            reservation.stage.value,
            reservation.lapses_at.timestamp(),
            reservation.fund_by,
        ),
    )
