"""The fake's entrypoints: the words of services.messages.settlement, as far as the front needs them."""

from typing import Any, ClassVar

from sqlmodel import Session, select

from hireling.rental.close import Exit
from hireling.rental.errors import SignatureMismatch
from hireling.rental.hashing import keccak256
from hireling.rental.signing import verify
from hireling.rental.states import TERMINAL, State
from hireling.rental.typed_data import digest, from_hex
from services.chassis.entrypoints import on_event, rpc
from services.chassis.outbox import add_event
from services.chassis.service import Service
from services.messages.errors import NotFound, Refused
from services.messages.events.listing import DeviceAdmitted
from services.messages.events.negotiation import Agreed
from services.messages.events.settlement import BillIssued, DeviceRegistered, MeterChanged, RentalChanged
from services.messages.negotiation import Side
from services.messages.settlement import (
    CloseHalf,
    PlatformView,
    RentalQuery,
    RentalView,
    SignedExit,
    TokenView,
    TransferAuthorization,
)
from tests.builders import PLATFORM_KEY, platform_terms
from tests.fakes.settlement.models import Rental

REGISTRY = bytes.fromhex("4e600000" * 5)


class FakeSettlement(Service):
    """Answers as settlement does; `change_rental` is what the chain would do."""

    name = "settlement"
    opens_paused: ClassVar[str | None] = None
    money: ClassVar[str] = "none"

    @rpc
    def platform_terms(self) -> dict[str, Any]:
        """Return the terms that tests.builders' objects are made on."""
        terms = platform_terms()
        view = PlatformView(
            chain_id=terms.chain_id,
            escrow=terms.escrow,
            registry=REGISTRY,
            token=TokenView(address=terms.token, symbol="tUSD", decimals=6),
            fee_bps=terms.fee_bps,
            fee_to=terms.fee_to,
            arbiter=terms.arbiter,
            bill_signer=PLATFORM_KEY.identity,
            confirmations=1,
            faucet=True,
            opens_paused=self.opens_paused,
        )
        return view.model_dump(mode="json")

    @on_event(DeviceAdmitted)
    def on_device_admitted(self, session: Session, event: DeviceAdmitted) -> None:
        """Say that the registry holds the device."""
        registered = DeviceRegistered(device=event.device, tx_hash=keccak256(event.device))
        add_event(session, registered, now=self.clock.now())

    @on_event(Agreed)
    def on_agreed(self, session: Session, event: Agreed) -> None:
        """Keep the rental, agreed and not funded."""
        signed = event.signed
        view = RentalView(
            rental_id=event.rental_id,
            quote_id=event.quote_id,
            state=State.AGREED,
            version=1,
            progress=1,
            device=signed.offer.device,
            owner=signed.offer.owner,
            renter=signed.offer.renter,
            agreement=signed.agreement,
            seq=None,
            counters=(),
            amount_due=0,
            acknowledged=0,
            ceiling=0,
            funded=0,
            claimed=0,
            fee=0,
            refund=0,
            deadline=self.clock.now(),
            transactions=(),
            refusals=0,
            bill=False,
            countersigned=False,
            updated_at=self.clock.now(),
        )
        rental_id = f"0x{event.rental_id.hex()}"
        session.add(
            Rental(rental_id=rental_id, view=view.model_dump(mode="json"), agreed_at=self.clock.now())
        )

    @rpc
    def rental_progress(self, rental_ids: list[str]) -> dict[str, int]:
        """Return how far those of these rentals are that there are."""
        with self.database.snapshot() as session:
            rows = [session.get(Rental, rental_id) for rental_id in rental_ids]
            return {row.rental_id: row.view["progress"] for row in rows if row is not None}

    @rpc
    def change_rental(self, rental_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a rental's view, and say so."""
        with self.database.unit_of_work() as session:
            row = _found(session, rental_id)
            row.view = {
                **row.view,
                **changes,
                "version": row.view["version"] + 1,
                "progress": row.view["progress"] + 1,
            }
            view = RentalView.model_validate(row.view, strict=False)
            changed = RentalChanged(
                rental_id=view.rental_id, device=view.device, state=view.state, version=view.version
            )
            add_event(session, changed, now=self.clock.now())
            return row.view

    @rpc
    def change_meter(self, device: str, meter: str) -> None:
        """Say that a device's owner changed its key; 0x for none."""
        changed = MeterChanged(
            device=from_hex(device),
            meter=from_hex(meter),
            block=1,
            position=0,
            seen_at=self.clock.now(),
        )
        with self.database.unit_of_work() as session:
            add_event(session, changed, now=self.clock.now())

    @rpc
    def issue_bill(self, rental_id: str, total: int) -> None:
        """Say that a rental's bill was issued."""
        with self.database.unit_of_work() as session:
            device = RentalView.model_validate(_found(session, rental_id).view, strict=False).device
            issued = BillIssued(rental_id=from_hex(rental_id), device=device, total=total)
            add_event(session, issued, now=self.clock.now())

    @rpc
    def money_held(self, rental_id: str) -> str:
        """Return what a test says of every rental's money."""
        return self.money

    @rpc
    def get_rental(self, rental_id: str) -> dict[str, Any]:
        """Return a rental."""
        with self.database.snapshot() as session:
            return _found(session, rental_id).view

    @rpc
    def list_rentals(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return every rental that fits, on one page."""
        wanted = RentalQuery.model_validate(query, strict=False)
        with self.database.snapshot() as session:
            views = [row.view for row in session.exec(select(Rental))]
        if wanted.unfinished:
            views = [
                view
                for view in views
                if State(view["state"]) not in TERMINAL or (view["bill"] and not view["countersigned"])
            ]
        if wanted.open_only:
            views = [view for view in views if State(view["state"]) not in TERMINAL]
        if wanted.device is not None:
            views = [view for view in views if view["device"] == f"0x{wanted.device.hex()}"]
        return {"items": views, "next": None}

    @rpc
    def get_refusals(self, rental_id: str) -> list[dict[str, Any]]:
        """Return none."""
        return []

    @rpc
    def get_flags(self, rental_id: str) -> list[dict[str, Any]]:
        """Return none."""
        return []

    @rpc
    def fund(self, rental_id: str, permit: dict[str, Any] | None) -> dict[str, Any]:
        """Refuse: nobody has tokens here."""
        self.get_rental(rental_id)
        raise Refused("ERC20InsufficientAllowance", "the escrow may not take the renter's tokens")

    @rpc
    def submit_close(self, rental_id: str, half: dict[str, Any]) -> dict[str, Any]:
        """Refuse what nobody signed."""
        view = RentalView.model_validate(self.get_rental(rental_id), strict=False)
        signed = CloseHalf.model_validate(half, strict=False)
        return self._checked(
            digest(platform_terms().domain, signed.close), signed.signature, view, by=signed.by
        )

    @rpc
    def submit_exit(self, rental_id: str, exit: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the RPC's word
        """Refuse what nobody signed."""
        view = RentalView.model_validate(self.get_rental(rental_id), strict=False)
        signed = SignedExit.model_validate(exit, strict=False)
        wish = digest(platform_terms().domain, Exit(rental_id=view.rental_id))
        return self._checked(wish, signed.signature, view, by=signed.by)

    @rpc
    def get_bill_part(self, rental_id: str, offset: int, length: int | None) -> dict[str, Any]:
        """Find none."""
        self.get_rental(rental_id)
        raise NotFound("bill_not_found", f"rental {rental_id} has no bill", rental_id=rental_id)

    @rpc
    def countersign_bill(self, rental_id: str, signature: str) -> dict[str, Any]:
        """Find none."""
        return self.get_bill_part(rental_id, 0, None)

    @rpc
    def get_wallet(self, address: str) -> dict[str, Any]:
        """Return an empty wallet."""
        return {"address": address.lower(), "balance": "0", "credit": "0", "nonce": "0"}

    @rpc
    def faucet(self, address: str) -> dict[str, Any]:
        """Return a wallet with a hundred tokens."""
        return {**self.get_wallet(address), "balance": "100000000"}

    @rpc
    def withdraw(self, authorization: dict[str, Any]) -> dict[str, Any]:
        """Refuse: nobody has tokens here."""
        TransferAuthorization.model_validate(authorization, strict=False)
        raise Refused("ERC20InsufficientBalance", "the sender has no tokens")

    def _checked(self, word: bytes, signature: bytes, view: RentalView, *, by: Side) -> dict[str, Any]:
        try:
            verify(view.owner if by == "owner" else view.renter, word, signature)
        except SignatureMismatch as error:
            raise Refused(error.code, error.detail) from error
        return view.model_dump(mode="json")

    @rpc
    def list_bills(self, cursor: str | None, limit: int) -> dict[str, Any]:
        """Return none."""
        return {"items": [], "next": None}


def _found(session: Session, rental_id: str) -> Rental:
    row = session.get(Rental, rental_id)
    if row is None:
        raise NotFound("rental_not_found", f"no rental {rental_id}", rental_id=rental_id)
    return row
