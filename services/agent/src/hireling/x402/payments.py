"""What a front must not forget of a payment: it is on the disk before anything is sent that depends on it."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hireling.durable import make_private_folder, write_atomically
from hireling.rental.typed_data import Bytes32, Document, Uint40, Uint64, Uint256
from hireling.renter.book import RenterBook
from hireling.x402.authorization import Authorization

# taken: the authorisation is here, and may or may not have been carried out; void: it never was and never
# will be; paid: the money is here; over: the rental has ended, and what it cost is known; done: the rest is
# back.
Stage = Literal["taken", "void", "paid", "over", "done"]


class Unbalanced(Exception):
    """A rental cost more than was paid for it, which its limits must have prevented."""


class Payment(Document):
    """One payment and its rental. Amounts in base units, times in Unix seconds.

    ``seen_from`` is the block from which on the chain is searched for what became of the authorisation, or of
    the refund. ``given_up``: the payer was told that it failed, so where the money comes after all, it goes
    back. ``stop_hash`` is the SHA-256 of the token with which the payer may stop the machine.
    """

    authorization: Authorization
    device: Bytes32
    listing: Bytes32
    seconds: int
    fee: Uint256
    stop_hash: Bytes32
    refund_nonce: Bytes32
    taken_at: Uint40
    seen_from: Uint64
    stage: Stage = "taken"
    given_up: bool = False
    paid_at: Uint40 | None = None
    settlement: Bytes32 | None = None
    rental_id: Bytes32 | None = None
    spent: Uint256 | None = None
    refund: Uint256 | None = None
    refund_transaction: Bytes32 | None = None
    reason: str | None = None

    @property
    def id(self) -> str:
        """Return the payment's name, 0x-hex."""
        return f"0x{self.authorization.id.hex()}"

    @property
    def is_finished(self) -> bool:
        """Return whether nothing is left to do."""
        return self.stage in {"void", "done"}

    def over(self, *, spent: int, reason: str | None, seen_from: int) -> "Payment":
        """Return the payment with its rental ended. The fee is taken only where something was used.

        Raises Unbalanced.
        """
        fee = self.fee if spent else 0
        refund = self.authorization.value - spent - fee
        if refund < 0:
            raise Unbalanced(f"{self.authorization.value} paid, but {spent} spent and a fee of {fee}")
        return self.model_copy(
            update={
                "stage": "over",
                "spent": spent,
                "fee": fee,
                "refund": refund,
                "reason": reason,
                "seen_from": seen_from,
            }
        )


class PaymentBook:
    """A folder with one folder a payment: its own page, and the pages of its rental."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, payment: Payment) -> Payment:
        """Keep the payment, safe on disk when this returns."""
        folder = make_private_folder(self._folder / payment.id)
        write_atomically(folder / "payment.json", payment.model_dump_json(indent=1).encode())
        return payment

    def forget(self, payment: Payment) -> None:
        """Remove a payment that never came."""
        shutil.rmtree(self._folder / payment.id, ignore_errors=True)

    def all(self) -> Iterator[Payment]:
        """Return every payment, in no order."""
        for path in self._folder.glob("0x*/payment.json"):
            yield Payment.model_validate_json(path.read_bytes())

    def rentals(self, payment: Payment) -> RenterBook:
        """Return the pages of a payment's rentals: at most one, but for those that came to nothing."""
        return RenterBook(self._folder / payment.id / "rentals")
