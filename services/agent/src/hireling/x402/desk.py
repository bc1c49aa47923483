"""What the front asks for and takes: a machine's listed worst case, paid by an ERC-3009 authorisation."""

import hashlib
import secrets
from dataclasses import dataclass

from pydantic import Field, ValidationError

from hireling.platform_views import ListingView
from hireling.rental.listing import SignedListing
from hireling.rental.money import format_amount
from hireling.rental.tariff import worst_case
from hireling.rental.typed_data import Bytes32, Document, Domain, to_hex
from hireling.renter.agent import seconds_for
from hireling.renter.wallet import TokenDomain
from hireling.x402.authorization import Authorization, check_accepted
from hireling.x402.carrier import Carrier
from hireling.x402.payments import Payment
from hireling.x402.register import Register, Tools
from hireling.x402.words import SCHEME, InvalidPayment, Requirements, Resource, payment_of

SETTLE_WITHIN_SECONDS = 300
# The front must be able to take the payment and sign the agreement before the listing lapses.
LISTING_HOLDS_SECONDS = 600
# Each payment that is not finished is watched on the chain.
MOST_UNFINISHED = 256
MOST_OF_ONE_PAYER = 16


class NotForHire(Exception):
    """The machine cannot be rented now; nothing was taken."""


class Full(Exception):
    """Too many payments are not finished yet; nothing was taken."""


class BadWish(Exception):
    """The request is wrong; nothing was taken."""


class Wish(Document):
    """A request's body: for how many seconds, and, if the payer likes, the SHA-256 of its own stop token."""

    seconds: int | None = Field(default=None, ge=1, le=2**31, strict=True)
    stop_hash: Bytes32 | None = None


@dataclass(frozen=True)
class Offer:
    """What a rental costs, and how to pay it."""

    listing: ListingView
    seconds: int
    resource: Resource
    requirements: Requirements


@dataclass(frozen=True)
class Taken:
    """A payment, and the stop token where it is new and the payer named none: it is shown once."""

    payment: Payment
    stop_token: str | None


class Desk:
    """One front's desk."""

    def __init__(
        self, tools: Tools, register: Register, carrier: Carrier, *, domain: TokenDomain, fee: int
    ) -> None:
        """``fee`` in base units is the front's own, for each rental in which something was used."""
        self._tools = tools
        self._register = register
        self._carrier = carrier
        self._domain = domain
        self._fee = fee

    async def offer(self, device: bytes, wish: Wish, *, url: str) -> Offer:
        """Return what is to be paid. Raises NotForHire, BadWish, PlatformError."""
        listing = await self._listing(device)
        document, facts = listing.document, self._tools.facts
        seconds = wish.seconds or seconds_for(listing)
        if seconds > document.max_seconds:
            raise BadWish(f"{seconds} s, the machine is let for at most {document.max_seconds}")
        worst = worst_case(document.tariff, seconds)
        amount = worst + document.deposit + self._fee
        back = format_amount(document.deposit, facts.money)
        return Offer(
            listing=listing,
            seconds=seconds,
            resource=Resource(
                url=url,
                description=(
                    f"{document.title} for {seconds} s: at most {format_amount(worst, facts.money)} for its"
                    f" use, {back} deposit, {format_amount(self._fee, facts.money)} fee."
                    " What is not used comes back."
                ),
            ),
            requirements=Requirements(
                scheme=SCHEME,
                network=f"eip155:{facts.chain_id}",
                asset=to_hex(facts.token.address),
                amount=str(amount),
                pay_to=to_hex(self._tools.wallet.address),
                max_timeout_seconds=SETTLE_WITHIN_SECONDS,
                extra={
                    "name": self._domain.name,
                    "version": self._domain.version,
                    "listing": to_hex(listing.listing),
                    "seconds": str(seconds),
                },
            ),
        )

    def known(self, header: str, device: bytes) -> Taken | None:
        """Return the payment that this header is, where it was taken before. Raises InvalidPayment."""
        signed = Authorization.of(payment_of(header))
        payment = self._register.find(f"0x{signed.id.hex()}")
        if payment is None:
            return None
        if (payment.authorization, payment.device) != (signed, device):
            raise InvalidPayment(
                "invalid_exact_evm_nonce_already_used", "this nonce came with another payment before"
            )
        return Taken(payment, None)

    async def take(self, header: str, offer: Offer, wish: Wish) -> Taken:
        """Take a new payment, to be carried to its end. Raises InvalidPayment, Full, ChainUnreachable."""
        payment = payment_of(header)
        check_accepted(payment, offer.requirements)
        signed = Authorization.of(payment)
        now = self._tools.clock.now()
        signed.check(offer.requirements, self._domain, now)
        # Unused now, so whatever uses it comes after this block.
        seen_from = await self._tools.token.height()
        await self._check_on_chain(signed)
        token = secrets.token_urlsafe(32)
        stop_hash = wish.stop_hash or hashlib.sha256(token.encode()).digest()
        taken = Payment(
            authorization=signed,
            device=offer.listing.document.device,
            listing=offer.listing.listing,
            seconds=offer.seconds,
            fee=self._fee,
            stop_hash=stop_hash,
            refund_nonce=secrets.token_bytes(32),
            taken_at=int(now.timestamp()),
            seen_from=seen_from,
        )
        self._check_room(signed.sender)
        kept = self._carrier.begin(taken)
        is_ours = kept is taken and wish.stop_hash is None
        return Taken(kept, token if is_ours else None)

    def may_stop(self, payment: Payment, token: str) -> bool:
        """Return whether the token is the one with which this payment's machine may be stopped."""
        return secrets.compare_digest(hashlib.sha256(token.encode()).digest(), payment.stop_hash)

    def _check_room(self, payer: bytes) -> None:
        payers = [payment.authorization.sender for payment in self._register.unfinished()]
        if payers.count(payer) >= MOST_OF_ONE_PAYER:
            raise InvalidPayment(
                "too_many_payments", f"{MOST_OF_ONE_PAYER} payments of this payer are not finished"
            )
        if len(payers) >= MOST_UNFINISHED:
            raise Full(f"{MOST_UNFINISHED} payments are not finished: ask again later")

    async def _check_on_chain(self, signed: Authorization) -> None:
        if await self._tools.token.is_used(signed.sender, signed.nonce):
            raise InvalidPayment("invalid_exact_evm_nonce_already_used", "this authorisation is used")
        balance = await self._tools.token.balance(signed.sender)
        if balance < signed.value:
            raise InvalidPayment(
                "insufficient_funds", f"the payer holds {balance}, {signed.value} are authorised"
            )

    async def _listing(self, device: bytes) -> ListingView:
        found = (await self._tools.platform.device(device)).listing
        if found is None:
            raise NotForHire(f"device 0x{device.hex()} lists nothing")
        view = await self._tools.platform.listing(f"0x{found.hex()}")
        facts = self._tools.facts
        domain = Domain(chain_id=facts.chain_id, escrow=facts.escrow)
        signed = SignedListing(document=view.document, signature=view.signature)
        signed.check(domain)
        if signed.hash != view.listing:
            raise NotForHire("the marketplace shows another listing than it names")
        left = view.document.valid_until - self._tools.clock.now().timestamp()
        if not (view.online and view.registered) or left < LISTING_HOLDS_SECONDS:
            raise NotForHire(f"{view.document.title} is offline, or its listing lapses")
        return view


def wish_of(body: bytes) -> Wish:
    """Return what a request's body wishes for; an empty one is what the listing suggests. Raises BadWish."""
    try:
        return Wish.model_validate_json(body or b"{}")
    except ValidationError as error:
        mistakes = [f"{mistake['loc']}: {mistake['msg']}" for mistake in error.errors(include_url=False)]
        raise BadWish("; ".join(mistakes)) from error
