"""Whether one side's signature under an end counts: a close's half, or an exit. Pure."""

from hireling.rental.agreement import SignedAgreement
from hireling.rental.close import Exit, check_close, check_close_by_owner, check_close_by_renter
from hireling.rental.errors import RentalError
from hireling.rental.reading import SignedReading
from hireling.rental.signing import signer_of
from hireling.rental.states import State
from hireling.rental.typed_data import digest, to_hex
from services.messages.errors import Conflict, Refused
from services.messages.settlement import CloseHalf, SignedExit

ENDED = frozenset({State.CLOSED, State.SETTLING, State.DISPUTED})


def check_half(
    signed: SignedAgreement, half: CloseHalf, *, state: State, reading: SignedReading | None
) -> None:
    """Raise Refused unless the side signed a close of this rental.

    Raises Conflict where the last reading is still on its way.

    The owner's side signs only after the machine has stopped: its half counts once the last reading does, so
    that no bill lacks one.
    """
    try:
        check_close(signed.domain, signed.agreement, half.close)
        check = check_close_by_owner if half.by == "owner" else check_close_by_renter
        check(signed.domain, signed.agreement, half.close, signature=half.signature)
    except RentalError as error:
        raise Refused(error.code, error.detail) from error
    if half.by == "owner" and reading is not None and state not in ENDED:
        raise Conflict(
            "still_running", f"the last reading that counts is number {reading.reading.seq}, not yet the end"
        )
    due = 0 if reading is None else int(reading.reading.amount_due)
    if half.by == "owner" and half.close.use > due:
        raise Conflict(
            "reading_missing", f"the close says {half.close.use}, the readings so far {due}", due=str(due)
        )


def check_exit(signed: SignedAgreement, wish: SignedExit) -> None:
    """Raise Refused unless the side signed an exit from this rental."""
    pay, rules = signed.agreement.pay, signed.agreement.rules
    signers = {"owner": (pay.owner, rules.owner_agent), "renter": (rules.renter, pay.renter_agent)}[wish.by]
    try:
        signer = signer_of(digest(signed.domain, Exit(rental_id=signed.rental_id)), wish.signature)
    except RentalError as error:
        raise Refused(error.code, error.detail) from error
    if signer not in signers:
        raise Refused("wrong_signer", f"signed by {to_hex(signer)}, who is not on the {wish.by}'s side")
