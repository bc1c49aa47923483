"""What owners' mandates have promised on this platform, and which of them were taken back.

All copies of the service count in one place: every step here is part of the caller's transaction, which runs
as if alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import SignedApproval
from hireling.rental.documents import document_hash
from hireling.rental.errors import RentalError
from hireling.rental.mandate import SignedMandate, SignedRevocation, check_not_revoked, later
from hireling.rental.offer import agreement_from
from hireling.rental.reservation import Reservation, Stage, reserve, unopenable_at
from hireling.rental.states import WITHOUT_BILL, State
from hireling.rental.typed_data import from_hex, to_hex
from services.negotiation import store
from services.negotiation.models import ApprovalRow, MandateReservation, RevocationRow
from services.negotiation.session import QuoteSession, mandate_refused

# A rental that never got its money, or gave all of it back, took nothing from the mandate.
OPENED = frozenset({State.FUNDED, State.ARMED, State.ACTIVE})


class Ledger:
    """What mandates have promised, as one unit of work sees it: read once, written at its end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._words: dict[str, Sequence[SignedRevocation]] = {}
        self._promised: dict[str, dict[str, Reservation]] = {}
        self._new: list[MandateReservation] = []

    def require_unrevoked(self, signed: SignedMandate) -> None:
        """Raise Refused where the owner stopped this mandate, its agent, or every agent of its own."""
        principal = to_hex(signed.principal)
        if principal not in self._words:
            self._words[principal] = revocations_of(self._session, principal)
        try:
            check_not_revoked(signed, self._words[principal])
        except RentalError as error:
            raise mandate_refused(error) from error

    def reserve_for_owner(self, quote: QuoteSession, *, now: datetime) -> None:
        """Reserve for the agreement that the owner's agent just signed.

        Raises Refused where its mandate, with all its other rentals, does not allow it.
        """
        self.require_unrevoked(quote.mandate)
        if quote.last is None:
            raise RuntimeError("nothing was offered, so nothing was signed")
        name, offer = to_hex(document_hash(quote.mandate)), quote.last.offer
        if name not in self._promised:
            rows = store.reservations_under(self._session, name)
            self._promised[name] = {row.rental_id: _reservation(row) for row in rows}
        promised = self._promised[name]
        try:
            made = reserve(
                quote.mandate,
                agreement_from(offer),
                domain=quote.terms.domain,
                now=now,
                others=promised.values(),
                clearance=quote.clearance(offer),
            ).signed(now)
        except RentalError as error:
            raise mandate_refused(error) from error
        rental_id = to_hex(made.rental_id)
        if rental_id not in promised:
            promised[rental_id] = made
            self._new.append(_row(made, mandate=name))

    def write(self) -> None:
        """Keep what was reserved."""
        self._session.add_all(self._new)
        self._session.flush()


def count_again(session: Session, agreed: SignedAgreement, mandate: SignedMandate) -> None:
    """Count a funded rental that was lost under its owner's mandate, whatever else that allows by now.

    Raises Refused where the owner stopped the agent.
    """
    Ledger(session).require_unrevoked(mandate)
    if session.get(MandateReservation, to_hex(agreed.rental_id)) is not None:
        return
    rules = agreed.agreement.rules
    counted = Reservation(
        rental_id=agreed.rental_id,
        amount=agreed.agreement.all_in,
        stage=Stage.OPENED,
        lapses_at=unopenable_at(rules.fund_by),
        fund_by=rules.fund_by,
    )
    session.add(_row(counted, mandate=to_hex(document_hash(mandate))))


def note_state(session: Session, rental_id: bytes, state: State) -> None:
    """Note that a rental was funded, or that it never came about."""
    row = session.get(MandateReservation, to_hex(rental_id))
    if row is None:
        return
    if state in WITHOUT_BILL:
        session.delete(row)
    elif state in OPENED:
        _change(row, _reservation(row).opened())


def note_bill(session: Session, rental_id: bytes, total: int) -> None:
    """Note what a rental cost in the end: the rest is free again."""
    row = session.get(MandateReservation, to_hex(rental_id))
    if row is not None:
        _change(row, _reservation(row).done(total))


def note_revocation(session: Session, word: SignedRevocation) -> SignedRevocation:
    """Keep a principal's word, and return the one that counts."""
    key = (to_hex(word.principal), to_hex(word.revocation.subject))
    row = session.get(RevocationRow, key)
    if row is None:
        session.add(RevocationRow(principal=key[0], subject=key[1], signed=_json(word)))
        return word
    counts = later(_word(row), word)
    row.signed = _json(counts)
    return counts


def revocations_of(session: Session, principal: str) -> Sequence[SignedRevocation]:
    """Return a principal's latest words, one a subject."""
    return [_word(row) for row in store.revocations_of(session, principal)]


def note_approval(session: Session, word: SignedApproval) -> SignedApproval:
    """Keep a principal's word on a rental, and return the one that counts: the first."""
    key = (to_hex(word.approval.rental_id), to_hex(word.principal))
    row = session.get(ApprovalRow, key)
    if row is not None:
        return SignedApproval.model_validate(row.signed, strict=False)
    session.add(ApprovalRow(rental_id=key[0], principal=key[1], signed=_json(word)))
    return word


def approvals_of(session: Session, rental_id: str) -> Sequence[SignedApproval]:
    """Return what principals said of a rental."""
    rows = session.exec(select(ApprovalRow).where(ApprovalRow.rental_id == rental_id))
    return [SignedApproval.model_validate(row.signed, strict=False) for row in rows]


def _row(made: Reservation, *, mandate: str) -> MandateReservation:
    return MandateReservation(
        rental_id=to_hex(made.rental_id),
        mandate=mandate,
        amount=str(made.amount),
        stage=made.stage.value,
        lapses_at=made.lapses_at,
        fund_by=made.fund_by,
    )


def _reservation(row: Any) -> Reservation:
    return Reservation(
        rental_id=from_hex(row.rental_id),
        amount=int(row.amount),
        stage=Stage(row.stage),
        lapses_at=row.lapses_at,
        fund_by=row.fund_by,
    )


def _change(row: MandateReservation, after: Reservation) -> None:
    row.amount, row.stage, row.lapses_at = str(after.amount), after.stage.value, after.lapses_at


def _word(row: RevocationRow) -> SignedRevocation:
    return SignedRevocation.model_validate(row.signed, strict=False)


def _json(word: SignedRevocation | SignedApproval) -> dict[str, Any]:
    dumped: dict[str, Any] = word.model_dump(mode="json")
    return dumped
