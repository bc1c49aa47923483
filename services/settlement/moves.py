"""What may be done to the chain, as intents.

The same intent has the same key, however often it is asked for.
"""

from datetime import datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import SignedClose
from hireling.rental.escrow_math import Slot
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex
from services.messages.events.listing import DeviceAdmitted
from services.messages.settlement import Permit, TransferAuthorization
from services.settlement.escrow.calls import Calls
from services.settlement.escrow.node import Call
from services.settlement.models import TransactionRow

OPEN, CLAIM, CLOSE, EXIT, SETTLE = "open", "claim", "close", "exit", "settle"
REGISTER, FAUCET, WITHDRAW = "register", "faucet", "withdraw"


class Moves:
    """Builds intents of one deployment."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def open(self, signed: SignedAgreement, permit: Permit | None, *, now: datetime) -> TransactionRow:
        """Put the renter's money in: once a rental."""
        return _of_rental(OPEN, signed, OPEN, self._calls.open(signed, permit), now=now)

    def claim(
        self,
        signed: SignedAgreement,
        reading: SignedReading,
        ceiling: SignedCeiling,
        *,
        after: Slot,
        now: datetime,
    ) -> TransactionRow:
        """Claim up to what the slot will be ``after``: once for each such amount."""
        call = self._calls.claim(signed.agreement, reading, ceiling)
        return _of_rental(CLAIM, signed, f"{CLAIM}:{after.paid}:{after.tail}", call, now=now)

    def close(self, signed: SignedAgreement, both: SignedClose, *, now: datetime) -> TransactionRow:
        """Close by both signatures: once for each Close."""
        close = both.close
        call = self._calls.close(
            signed.agreement,
            close,
            owner_signature=both.owner_signature,
            renter_signature=both.renter_signature,
        )
        return _of_rental(
            CLOSE, signed, f"{CLOSE}:{close.use}:{close.damage}:{close.valid_until}", call, now=now
        )

    def exit(self, signed: SignedAgreement, signature: bytes, *, now: datetime) -> TransactionRow:
        """Give one side's notice: once a rental, since it is irrevocable."""
        return _of_rental(EXIT, signed, EXIT, self._calls.exit(signed.agreement, signature), now=now)

    def settle(self, signed: SignedAgreement, step: str, *, now: datetime) -> TransactionRow:
        """Settle by the deadlines: once for each step, "split" or "settle"."""
        return _of_rental(SETTLE, signed, step, self._calls.settle(signed.agreement), now=now)

    def register(self, admitted: DeviceAdmitted, *, now: datetime) -> TransactionRow:
        """Register a device: once for each proof."""
        key = f"{REGISTER}:{to_hex(admitted.device)}:{admitted.valid_until}"
        return _row(REGISTER, key, self._calls.register(admitted), now=now)

    def faucet(self, address: bytes, amount: int, *, number: int, now: datetime) -> TransactionRow:
        """Mint test tokens: once for each number."""
        return _row(FAUCET, f"{faucet_key(address)}{number}", self._calls.mint(address, amount), now=now)

    def withdraw(self, authorization: TransferAuthorization, *, now: datetime) -> TransactionRow:
        """Move tokens by their holder's authorisation: once for each of its nonces."""
        key = f"{WITHDRAW}:{to_hex(authorization.sender)}:{to_hex(authorization.nonce)}"
        return _row(WITHDRAW, key, self._calls.transfer(authorization), now=now)


def faucet_key(address: bytes) -> str:
    """Return how the keys of an address's faucet intents begin."""
    return f"{FAUCET}:{to_hex(address)}:"


def _of_rental(kind: str, signed: SignedAgreement, what: str, call: Call, *, now: datetime) -> TransactionRow:
    rental_id = to_hex(signed.rental_id)
    row = _row(kind, f"{rental_id}:{what}", call, now=now)
    row.rental_id = rental_id
    return row


def _row(kind: str, key: str, call: Call, *, now: datetime) -> TransactionRow:
    return TransactionRow(kind=kind, key=key, to=to_hex(call.to), data=to_hex(call.data), created_at=now)
