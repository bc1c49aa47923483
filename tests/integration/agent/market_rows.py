"""What the marketplace in one object keeps of a session and of a rental, and how it shows them."""

from dataclasses import dataclass, field
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.offer import QuoteRequest, SignedOffer, agreement_from
from hireling.rental.reading import ReadingChain, SignedReading
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex

TX_HASH = bytes.fromhex("aa" * 32)


@dataclass
class Quote:
    """A bargaining session."""

    quote_id: str
    request: QuoteRequest
    offers: list[SignedOffer] = field(default_factory=list)
    signatures: dict[str, bytes] = field(default_factory=dict)

    @property
    def agreement(self) -> SignedAgreement:
        offer = self.offers[-1].offer
        return SignedAgreement(
            domain=offer.domain,
            agreement=agreement_from(offer),
            offer=offer,
            owner_signature=self.signatures["owner"],
            renter_signature=self.signatures["renter"],
        )

    @property
    def is_agreed(self) -> bool:
        return len(self.signatures) == 2

    def view(self) -> dict[str, Any]:
        if self.is_agreed:
            turn = "none"
        elif self.signatures:
            turn = "renter" if "owner" in self.signatures else "owner"
        else:
            turn = "owner" if len(self.offers) % 2 == 0 else "renter"
        return {
            "quote_id": self.quote_id,
            "status": "agreed" if self.is_agreed else "open",
            "turn": turn,
            "request": self.request.model_dump(mode="json"),
            "offers": [offer.model_dump(mode="json") for offer in self.offers],
            "signed_by": sorted(self.signatures),
            "rental_id": to_hex(self.agreement.rental_id) if self.is_agreed else None,
        }


@dataclass
class Rental:
    """A rental, its readings and its end."""

    agreement: SignedAgreement
    quote_id: str
    chain: ReadingChain
    state: State = State.AGREED
    readings: list[SignedReading] = field(default_factory=list)
    ceiling: SignedCeiling | None = None
    halves: dict[str, tuple[Close, bytes]] = field(default_factory=dict)
    bill: SignedBill | None = None

    def view(self) -> dict[str, Any]:
        total = self.bill.bill.total if self.bill else 0
        return {
            "rental_id": to_hex(self.agreement.rental_id),
            "quote_id": self.quote_id,
            "state": self.state.value,
            "progress": list(State).index(self.state) + len(self.halves) + (self.bill is not None),
            "device": to_hex(self.agreement.offer.device),
            "agreement": self.agreement.agreement.model_dump(mode="json"),
            "seq": self.readings[-1].reading.seq if self.readings else None,
            "amount_due": str(self.readings[-1].reading.amount_due if self.readings else 0),
            "acknowledged": "0",
            "funded": str(self.agreement.agreement.pay.max_total),
            "claimed": str(total),
            "fee": str(self.bill.bill.fee if self.bill else 0),
            "refund": str(self.bill.bill.refund if self.bill else 0),
            "transactions": [{"kind": "open", "status": "confirmed", "hash": to_hex(TX_HASH)}],
            "closes_by": sorted(self.halves),
            "refusals": 0,
            "bill": self.bill is not None,
            "countersigned": self.bill is not None and self.bill.countersignature is not None,
        }

    def take_ceiling(self, signed: SignedCeiling) -> None:
        """Let the machine go on up to there; an earlier word does not count any more."""
        signed.check(self.agreement.domain, self.agreement.agreement)
        before = self.ceiling.ceiling.max_claimable if self.ceiling else -1
        if signed.ceiling.max_claimable > before or signed.ceiling.ack_amount:
            self.ceiling = signed
