"""Settlement itself, running on a real chain, and both sides of its rentals as a test plays them."""

import secrets
from collections.abc import Sequence
from typing import Any

from hireling.rental.agreement import SignedAgreement
from hireling.rental.bill import SignedBill
from hireling.rental.ceiling import SignedCeiling
from hireling.rental.close import Close
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Secp256k1Key, sign
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.chassis.runner import Platform
from services.messages.event import Event
from services.messages.events.metering import CeilingAccepted, UsageAccepted
from services.messages.events.negotiation import Agreed
from services.messages.events.settlement import RentalChanged
from services.messages.settlement import CloseHalf, RentalView
from services.settlement.escrow.chain import Chain
from tests.builders import OWNER_AGENT_KEY, RENTER_AGENT_KEY, RENTER_KEY
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, agree, permit, send

PATIENCE = 20.0


class Market:
    """A running settlement, its chain, and a stranger's own door to that chain."""

    def __init__(self, platform: Platform, chain: DevChain, stranger: Chain, heard: list[Event]) -> None:
        self.platform = platform
        self.chain = chain
        self.stranger = stranger
        self.heard = heard

    def call(self, method: str, *arguments: Any) -> Any:
        """Call settlement."""
        return self.platform.rpc.call("settlement", method, *arguments, timeout=PATIENCE)

    def say(self, event: Event) -> None:
        """Say what another service says."""
        self.platform.rpc.call("metering", "say", event.type, event.model_dump(mode="json"), timeout=PATIENCE)

    def agreed(self, **changes: Any) -> SignedAgreement:
        """Return a rental that settlement knows of, its renter's wallet filled to the base unit."""
        # Two within a second of the chain's would be the same rental.
        signed = agree(self.chain, **({"salt": secrets.token_bytes(32)} | changes))
        send(self.stranger, self.stranger.calls.mint(RENTER_KEY.identity, signed.agreement.all_in))
        self.say(Agreed(quote_id="quote-1", rental_id=signed.rental_id, signed=signed))
        self.wait_for_state(signed, State.AGREED)
        return signed

    def funded(self, **changes: Any) -> SignedAgreement:
        """Return a rental whose money is in the escrow, confirmed."""
        signed = self.agreed(**changes)
        self.fund(signed)
        self.wait_for_state(signed, State.FUNDED)
        return signed

    def fund(self, signed: SignedAgreement) -> RentalView:
        """Have settlement relay the opening, with the renter's permit."""
        given = permit(self.chain, self.stranger, value=signed.agreement.all_in)
        view = self.call("fund", to_hex(signed.rental_id), given.model_dump(mode="json"))
        return RentalView.model_validate(view)

    def use(self, signed: SignedAgreement, readings: Sequence[SignedReading]) -> None:
        """Have metering tell of readings."""
        self.say(UsageAccepted(rental_id=signed.rental_id, readings=tuple(readings)))

    def allow(self, signed: SignedAgreement, ceiling: SignedCeiling) -> None:
        """Have metering tell of a ceiling."""
        self.say(CeilingAccepted(rental_id=signed.rental_id, ceiling=ceiling))

    def close(self, signed: SignedAgreement, *, by: str, use: int) -> Any:
        """Hand in one side's half of a close."""
        close = Close(rental_id=signed.rental_id, use=use, damage=0, valid_until=FOREVER)
        key: Secp256k1Key = OWNER_AGENT_KEY if by == "owner" else RENTER_AGENT_KEY
        half = CloseHalf.model_validate(
            {"close": close, "by": by, "signature": sign(key, signed.domain, close)}
        )
        return self.call("submit_close", to_hex(signed.rental_id), half.model_dump(mode="json"))

    def rental(self, signed: SignedAgreement) -> RentalView:
        """Return the rental as settlement sees it."""
        return RentalView.model_validate(self.call("get_rental", to_hex(signed.rental_id)))

    def progress(self, signed: SignedAgreement) -> int:
        """Return how far a rental is, as who waits for it is told."""
        (progress,) = self.call("rental_progress", [to_hex(signed.rental_id), to_hex(bytes(32))]).values()
        return int(progress)

    def bill(self, signed: SignedAgreement) -> SignedBill:
        """Return the rental's bill once there is one."""
        self.wait_until(lambda: self.rental(signed).bill)
        text, length = "", 1
        while len(text) < length:
            part = self.call("get_bill_part", to_hex(signed.rental_id), len(text), None)
            text, length = text + part["text"], part["length"]
        return SignedBill.model_validate_json(text)

    def wait_for_state(self, signed: SignedAgreement, state: State) -> None:
        """Wait until everybody was told that the rental is in this state.

        Blocks are mined meanwhile, as on a live chain.
        """
        self.wait_until(lambda: state in self.states(signed))

    def let_time_pass(self, condition: Any) -> None:
        """Wait until the condition holds, five minutes of the chain's a second.

        In small steps: after a large one, settlement takes itself for one who was away.
        """
        self.wait_until(condition, apart=30)

    def states(self, signed: SignedAgreement) -> list[State]:
        """Return the states everybody was told of, in order."""
        changes = [event for event in self.heard if isinstance(event, RentalChanged)]
        return [change.state for change in changes if change.rental_id == signed.rental_id]

    def wait_until(self, condition: Any, *, apart: int = 1) -> None:
        """Wait until the condition holds, a new block every tenth of a second, so many seconds apart."""
        steps = iter(range(1_000_000))

        def met() -> bool:
            if next(steps) % 10 == 0:
                self.chain.travel(seconds=apart)
            return bool(condition())

        self.platform.wait_until(met, timeout=PATIENCE)
