"""What the marketplace in one object knows, and the rules that agents depend on.

Contiguous durable readings, and a bill once two halves of a close agree.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.approval import SignedApproval
from hireling.rental.bill import BillTransaction, make_bill, sign_bill
from hireling.rental.close import SignedClose
from hireling.rental.listing import SignedListing
from hireling.rental.mandate import SignedRevocation
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from tests.integration.agent.market_rows import TX_HASH, Quote, Rental
from tests.unit.agent.rentals import key

FLAG = {"code": "gap", "reason": "no reading for 700 s", "acknowledged": False, "holds": True}


class NotFound(Exception):
    """There is no such thing."""


class Books:
    """What is known of one device, its sessions and its rentals."""

    def __init__(self) -> None:
        self.bill_key = key(77)
        self.hears: Callable[[SignedReading], bool] = lambda signed: True
        """Whether a reading reaches the ingest; a test loses messages with it."""
        self.delivered: list[int] = []
        """Every number that arrived, repetitions included."""
        self.flagged: list[int] = []
        """Numbers of readings that look wrong."""
        self.listings: dict[str, SignedListing] = {}
        self.approvals: list[SignedApproval] = []
        self.revocations: list[SignedRevocation] = []
        self.quotes: dict[str, Quote] = {}
        self.rentals: dict[str, Rental] = {}
        self.lost: dict[str, Rental] = {}
        """What it knew before it was restored from a backup; the chain still does."""
        self.loses_what_is_funded = False
        """While true, it is restored once, just after an escrow was opened, and before it told so."""
        self.loses_what_is_paid = False
        """While true, it is restored just after a rental was paid out, and before anybody has its bill."""
        self.has_other_terms = False
        """While true, its terms are others than those it lost, and it takes nothing back."""
        self.outgoing: list[tuple[str, str]] = []
        """Acknowledgements and notices that are due at the broker."""

    def rental(self, rental_id: str) -> Rental:
        """Return a rental. Raises NotFound."""
        if rental_id not in self.rentals:
            raise NotFound("no such rental")
        return self.rentals[rental_id]

    def opened(self, rental_id: str) -> Rental | None:
        """Return a rental that the chain may have, whether or not it was forgotten here."""
        return self.rentals.get(rental_id) or self.lost.get(rental_id)

    def open(self, agreement: SignedAgreement, quote_id: str) -> None:
        """Take in what both sides signed; a repetition changes nothing."""
        agreement.check(datetime.now(UTC))
        chain = ReadingChain(
            rental_id=agreement.rental_id,
            meter=agreement.agreement.pay.meter,
            domain=agreement.domain,
        )
        rental = Rental(agreement=agreement, quote_id=quote_id, chain=chain)
        self.rentals.setdefault(to_hex(agreement.rental_id), rental)

    def take_reading(self, device: str, signed: SignedReading) -> None:
        """Take a reading in where it is the next one, and acknowledge all that are durable."""
        rental = self.rentals.get(to_hex(signed.reading.rental_id))
        if rental is None:
            return
        self.delivered.append(signed.reading.seq)
        if signed.reading.seq in self.flagged and signed.reading.seq == rental.chain.next_seq:
            said = {name: FLAG[name] for name in ("code", "reason")}
            notice = {"type": "flagged", "seq": str(signed.reading.seq), **said}
            self.outgoing.append((f"hireling/{device}/notices", json.dumps(notice)))
        if not self.hears(signed) or signed.reading.seq > rental.chain.next_seq:
            return
        if signed.reading.seq == rental.chain.next_seq:
            rental.chain = rental.chain.accept(signed)
            rental.readings.append(signed)
            self.settle(rental)
        else:
            # Sent again: it must be the very bytes that were accepted.
            assert rental.readings[signed.reading.seq] == signed
        rental_id = to_hex(signed.reading.rental_id)
        ack = json.dumps({"rental_id": rental_id, "seq": rental.chain.next_seq - 1})
        self.outgoing.append((f"hireling/{device}/acks", ack))

    def settle(self, rental: Rental) -> None:
        """Pay the rental out and sign its bill, once all readings and both halves of its close are there."""
        is_complete = rental.chain.last is not None and rental.chain.last.last
        if len(rental.halves) < 2 or rental.bill is not None or not is_complete:
            return
        (close, owner), (other, renter) = rental.halves["owner"], rental.halves["renter"]
        assert close == other
        signed = SignedClose(close=close, owner_signature=owner, renter_signature=renter)
        signed.check(rental.agreement.domain, rental.agreement.agreement)
        rental.state = State.SETTLED
        bill = make_bill(
            rental=rental.agreement,
            readings=rental.readings,
            total=close.use,
            deposit_returned=rental.agreement.agreement.rules.deposit,
            transactions=[BillTransaction(kind="close", hash=TX_HASH, block=9, gas_used=100_000)],
            issued_at=datetime.now(UTC),
            ceiling=rental.ceiling,
            close=signed,
        )
        rental.bill = sign_bill(self.bill_key, bill)
        if self.loses_what_is_paid:
            self.lose()
        self.notify(rental.agreement.offer.device, "bill_ready")

    def flag(self, seq: int) -> None:
        """Find from now on that the reading with this number looks wrong."""
        self.flagged.append(seq)

    def lose(self) -> None:
        """Be as one that was restored from a backup of before."""
        self.lost.update(self.rentals)
        self.rentals.clear()

    def notify(self, device: bytes, kind: str) -> None:
        """Tell the device's agent that something waits for it."""
        self.outgoing.append((f"hireling/{to_hex(device)}/notices", json.dumps({"type": kind})))
