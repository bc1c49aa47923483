"""What may be done to the chain, as intents.

The same intent has the same key, however often it is asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.anchoring import READINGS, Announcement, batch_of
from hireling.rental.close import SignedClose
from hireling.rental.escrow_math import Slot
from hireling.rental.signing import keccak256
from hireling.rental.typed_data import from_hex, to_hex
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.settlement import RootAnnounced
from services.messages.settlement import Permit, TransferAuthorization
from services.settlement.escrow.calls import Calls
from services.settlement.escrow.node import Call
from services.settlement.escrow.packed import Evidence
from services.settlement.models import BatchedClaimRow, TransactionRow

OPEN, CLAIM, CLAIMS, CLOSE, EXIT, SETTLE = "open", "claim", "claims", "close", "exit", "settle"
REGISTER, FAUCET, WITHDRAW, ANNOUNCE = "register", "faucet", "withdraw", "announce"
KINDS = (OPEN, CLAIM, CLAIMS, CLOSE, EXIT, SETTLE, REGISTER, FAUCET, WITHDRAW, ANNOUNCE)
SELECTOR_BYTES, WORD = 4, 32


@dataclass(frozen=True)
class ClaimMove:
    """A claim: the signed pair it is made with, up to what the slot will be ``after``.

    There is one for each such amount of a rental, alone or in a batch.
    """

    signed: SignedAgreement
    evidence: Evidence
    after: Slot

    @property
    def rental_id(self) -> str:
        """Return the rental's id, 0x-hex."""
        return to_hex(self.signed.rental_id)

    @property
    def key(self) -> str:
        """Return what makes it the same claim."""
        return f"{self.rental_id}:{CLAIM}:{self.after.paid}:{self.after.tail}"


class Moves:
    """Builds intents of one deployment."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def open(self, signed: SignedAgreement, permit: Permit | None, *, now: datetime) -> TransactionRow:
        """Put the renter's money in: once a rental."""
        return _of_rental(OPEN, signed, OPEN, self._calls.open(signed, permit), now=now)

    def claim(self, claim: ClaimMove, *, now: datetime) -> TransactionRow:
        """Claim for one rental; what is new goes to its owner's address."""
        evidence = claim.evidence
        call = self._calls.claim(evidence.agreement, evidence.reading, evidence.ceiling)
        row = _row(CLAIM, claim.key, call, now=now)
        row.rental_id = claim.rental_id
        return row

    def claims(self, claims: Sequence[ClaimMove], *, now: datetime) -> TransactionRow:
        """Claim for many rentals, once for the same claims; what is new is credited to the owners.

        Raises Unpackable.
        """
        together = keccak256("\n".join(sorted(claim.key for claim in claims)).encode())
        call = self._calls.claim_packed([claim.evidence for claim in claims])
        return _row(CLAIMS, f"{CLAIMS}:{to_hex(together)}", call, now=now)

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

    def announce(self, day: int, root: bytes, *, now: datetime) -> TransactionRow:
        """Announce a day's root of readings: once for each day."""
        batch = batch_of(READINGS, day)
        return _row(ANNOUNCE, f"{ANNOUNCE}:{to_hex(batch)}", self._calls.announce(batch, root), now=now)


def root_announced(row: TransactionRow, announcement: Announcement, *, seen_at: datetime) -> RootAnnounced:
    """Return what a confirmed announcement tells everybody; ``announcement`` says where it was made."""
    words = from_hex(row.data)[SELECTOR_BYTES:]
    return RootAnnounced(
        batch=words[:WORD],
        root=words[WORD : 2 * WORD],
        chain_id=announcement.chain_id,
        contract=announcement.contract,
        publisher=announcement.publisher,
        transaction=from_hex(str(row.hash)),
        block=int(row.block or 0),
        seen_at=seen_at,
    )


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


def batched(claim: ClaimMove, transaction_id: int, *, rows: int) -> BatchedClaimRow:
    """Return the claim as one of a batch's rows."""
    return BatchedClaimRow(
        transaction_id=transaction_id,
        rental_id=claim.rental_id,
        key=claim.key,
        seq=int(claim.evidence.reading.reading.seq),
        rows=rows,
    )
