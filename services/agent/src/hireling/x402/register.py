"""All payments as they stand, each on the disk before anybody hears of it, and what their steps take."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hireling.announce import Announce
from hireling.clock import Clock
from hireling.device.chain import EscrowReader
from hireling.keystore import Keystore
from hireling.platform_client import PlatformClient
from hireling.platform_views import PlatformView
from hireling.rental.signing import Secp256k1Key
from hireling.renter.bargainer import Brief
from hireling.renter.wallet import Wallet
from hireling.x402.payments import Payment, PaymentBook
from hireling.x402.token import Token

LOOK_SECONDS = 0.5
AGAIN_SECONDS = 2.0
# What nobody has relayed any more is only watched until it lapses.
SELDOM_SECONDS = 60.0


class Stuck(Exception):
    """Nothing sensible can be done by itself; the payment stays as it is until the operator looks."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What carrying takes."""

    platform: PlatformClient
    facts: PlatformView
    wallet: Wallet
    wallet_key: Secp256k1Key
    keys: Keystore
    token: Token
    escrow: EscrowReader
    book: PaymentBook
    bills: Path
    brief: Brief
    clock: Clock
    announce: Announce


class Register:
    """Every payment."""

    def __init__(self, book: PaymentBook, announce: Announce) -> None:
        self._book = book
        self._announce = announce
        self._payments = {payment.id: payment for payment in book.all()}
        self._said: dict[str, str] = {}
        self._news = asyncio.Event()

    def unfinished(self) -> Iterator[Payment]:
        """Return the payments with something left to do."""
        return (payment for payment in list(self._payments.values()) if not payment.is_finished)

    def find(self, payment_id: str) -> Payment | None:
        """Return a payment as it stands."""
        return self._payments.get(payment_id)

    def latest(self, payment: Payment) -> Payment:
        """Return a payment as it stands now."""
        return self._payments[payment.id]

    def write(self, payment: Payment) -> Payment:
        """Keep the payment; it is on the disk when this returns."""
        self._payments[payment.id] = self._book.write(payment)
        news, self._news = self._news, asyncio.Event()
        news.set()
        return payment

    def forget_void(self, *, lapsed_by: int) -> None:
        """Forget the payments that never came and had lapsed by then: they can never be taken again."""
        for payment in list(self._payments.values()):
            if payment.stage == "void" and payment.authorization.valid_before <= lapsed_by:
                self._book.forget(payment)
                del self._payments[payment.id]
                self._said.pop(payment.id, None)

    async def until(self, payment: Payment, holds: Callable[[Payment], bool], *, within: float) -> Payment:
        """Return the payment as soon as this holds of it, or as it stands when time is up."""
        try:
            async with asyncio.timeout(within):
                while not holds(self.latest(payment)):
                    await self._news.wait()
        except TimeoutError:
            pass
        return self.latest(payment)

    def say(self, payment: Payment, event: str, detail: str) -> None:
        """Announce a difficulty once, not at every try."""
        if self._said.get(payment.id) != detail:
            self._announce(event, payment=payment.id, detail=detail)
        self._said[payment.id] = detail
