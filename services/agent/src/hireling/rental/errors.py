"""Why the protocol refuses something.

RentalError
├── Malformed           a value is out of range, or a document contradicts itself
├── SignatureMismatch   a signature is not one, or is somebody else's
├── AgreementRefused    an agreement breaks the escrow's limits, or is not the one its offer makes
├── OfferRefused        an offer breaks the rules of the bargaining
├── AuctionRefused      a notice, a bid or an outcome breaks the rules of its auction
├── MandateExceeded     an agent may not sign this for its principal
├── AppointmentRefused  a delegate was not appointed for this, or it is outside its owner's bounds
├── ReadingRefused      a reading does not continue its chain
├── CeilingRefused      a ceiling falls, or allows more than the agreement
├── CloseRefused        a close is beyond the agreement's money
├── EscrowRefused       the escrow would not make this move of money
├── BillInvalid         a bill does not follow from what it contains; the message names the place
├── AnchorInvalid       a reading is not where its proof, or the chain, would have to show it
└── IllegalTransition   a rental in this state knows no such trigger

Every error has a ``code`` for machines, a ``detail`` for people with the numbers, and ``str()`` is the
detail.
"""

from typing import Literal

RefusalCode = Literal[
    "malformed",
    "unknown_rental",
    "wrong_domain",
    "wrong_key",
    "conflicting_number",
    "broken_chain",
    "gap",
    "after_last",
    "counter_fell",
    "amount_fell",
    "clock_fell",
    "implausible_rate",
    "amount_above_tariff",
    "above_ceiling",
]


class RentalError(Exception):
    """Something the protocol refuses."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class Malformed(RentalError):
    """A value is out of range, or a document contradicts itself."""


class SignatureMismatch(RentalError):
    """A signature is not one, or is somebody else's."""


class AgreementRefused(RentalError):
    """An agreement breaks the escrow's limits, or is not the one its offer makes."""


class OfferRefused(RentalError):
    """An offer breaks the rules of the bargaining."""


class AuctionRefused(RentalError):
    """A notice, a bid or an outcome breaks the rules of its auction."""


class MandateExceeded(RentalError):
    """An agent may not sign this for its principal."""


class AppointmentRefused(RentalError):
    """A delegate was not appointed for this, or it is outside its owner's bounds."""


class ReadingRefused(RentalError):
    """A reading does not count; ``code`` is a RefusalCode."""

    code: RefusalCode

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(code, detail)


class CeilingRefused(RentalError):
    """A ceiling falls, or allows more than the agreement."""


class CloseRefused(RentalError):
    """A close is of another rental, or beyond the agreement's money."""


class EscrowRefused(RentalError):
    """The escrow would not make this move of money."""


class BillInvalid(RentalError):
    """A bill does not follow from what it contains; the detail names the place, as in ``reading 137: …``."""


class AnchorInvalid(RentalError):
    """A reading is not shown to be under a day's root, or that root is not the one on the chain."""


class IllegalTransition(RentalError):
    """A rental in this state knows no such trigger."""
