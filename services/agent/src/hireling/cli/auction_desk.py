"""What ``hireling auction`` and ``rent --auction`` share: this home's keys, bids and awards in auctions."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from hireling.auctions.awards import Award
from hireling.auctions.bids import Bid
from hireling.auctions.notice import AuctionNotice
from hireling.auctions.steps import steps
from hireling.cli.outlet import NotYet, Outlet
from hireling.cli.surroundings import Home
from hireling.clock import SystemClock
from hireling.drivers.driver import BadInput
from hireling.durable import make_private_folder, write_atomically
from hireling.platform_client import PlatformClient
from hireling.platform_views import AuctionView, PlatformView
from hireling.rental.listing import SignedListing
from hireling.rental.money import parse_amount
from hireling.rental.signing import Signer
from hireling.rental.terms import device_id
from hireling.rental.typed_data import Domain, to_hex
from hireling.sealed_bids import SealedBids

AUCTION_ID = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True)
class Desk:
    """What every command works with."""

    home: Home
    platform: PlatformClient
    facts: PlatformView
    outlet: Outlet

    @property
    def domain(self) -> Domain:
        """Return the marketplace's domain."""
        return Domain(chain_id=self.facts.chain_id, escrow=self.facts.escrow)

    @property
    def now(self) -> int:
        """Return the Unix second."""
        return int(SystemClock().now().timestamp())


async def listing_of(desk: Desk, name: str) -> SignedListing:
    """Return what one of this home's machines offers now. Raises BadInput where it offers nothing."""
    folder = desk.home.device(name)
    if not folder.exists():
        raise BadInput(f"this home has no machine {name}; `hireling device run --name {name}` makes one")
    meter = desk.home.keystore(folder / "keys").load("meter")
    view = await desk.platform.device(device_id(meter.identity))
    if view.listing is None:
        raise BadInput(f"{name} is not listed")
    listed = await desk.platform.listing(to_hex(view.listing))
    return SignedListing(document=listed.document, signature=listed.signature)


async def draft_bid(
    desk: Desk, view: AuctionView, *, amount: str | None, machine: str | None
) -> tuple[Signer, Bid]:
    """Return a bid and its key: a machine's agent's, or a session key that signs this rental alone."""
    notice = view.notice.notice
    salt, wanted = secrets.token_bytes(32), None if amount is None else parse_amount(amount, desk.facts.money)
    if notice.rule == "reverse":
        if machine is None or wanted is None:
            raise BadInput("in a reverse auction a machine bids: give --machine and --amount")
        listing = await listing_of(desk, machine)
        key = desk.home.keystore(desk.home.device(machine) / "keys").load("agent")
        step = _step(list(steps(listing.document, notice.seconds)), wanted)
        told = {"device": listing.document.device, "listing": listing.hash, "amount": step}
    else:
        if wanted is None and notice.rule == "dutch":
            wanted = view.next_amount
        if wanted is None:
            raise BadInput("give --amount, what use may cost at worst")
        name = f"auction-{view.auction.hex()[:16]}"
        key = desk.home.renter_keys.load_or_create(name)
        note_key(desk.home, view.auction, name)
        wallet = desk.home.keys.secp256k1("wallet")
        told = {"renter": wallet.identity, "amount": _step(list(notice.prices), wanted)}
    return key, Bid.model_validate({**told, "auction": view.auction, "bidder": key.identity, "salt": salt})


async def award_in(home: Home, platform: PlatformClient, auction: str) -> tuple[AuctionNotice, Award, str]:
    """Return what this home's wallet was awarded in an auction, and the name of the key that asks for it.

    Raises NotYet where it has no award that stands, BadInput where it took no part.
    """
    note = folder_of(home) / f"{auction_id(auction).hex()}.key"
    name = await asyncio.to_thread(_read_text, note, f"this home has no part in auction {auction}")
    agent = home.renter_keys.load(name).identity
    view = await platform.auction(auction_id(auction))
    for each in view.awards:
        if each.state == "standing" and each.award.agent == agent:
            return view.notice.notice, each.award, name
    raise NotYet(f"nothing is awarded to this home's wallet: the auction is {view.outcome.phase}")


def _read_text(path: Path, otherwise: str) -> str:
    if not path.exists():
        raise BadInput(otherwise)
    return path.read_text()


def _step(amounts: list[int], wanted: int) -> int:
    """Return the highest amount that may be bid up to what is wanted. Raises BadInput."""
    below = [amount for amount in amounts if amount <= wanted]
    if not below:
        raise BadInput(f"{wanted} base units are below {min(amounts)}, the least that may be bid")
    return max(below)


def folder_of(home: Home) -> Path:
    """Return where a home keeps its part in auctions."""
    return make_private_folder(home.folder / "auctions")


def note_key(home: Home, auction: bytes, name: str) -> None:
    """Keep by which key this home takes part in an auction: it asks for the agreement, too."""
    write_atomically(folder_of(home) / f"{auction.hex()}.key", name.encode())


def sealed_bids(home: Home) -> SealedBids:
    """Return the sealed bids that a home made."""
    return SealedBids(folder_of(home))


def auction_id(text: str) -> bytes:
    """Return the bytes of an auction's id. Raises BadInput."""
    if not AUCTION_ID.fullmatch(text):
        raise BadInput(f"{text!r} is no auction's id: 0x and 64 hex digits")
    return bytes.fromhex(text[2:])
