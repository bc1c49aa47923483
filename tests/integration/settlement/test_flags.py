"""A flag holds the tail that the renter has not acknowledged, and lets go of it in three ways."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hireling.rental.agreement import SignedAgreement
from hireling.rental.reading import SignedReading
from hireling.rental.typed_data import to_hex
from services.messages.events.metering import FlagCleared, Flagged
from tests.builders import a_reading_chain
from tests.chain_rentals import acknowledge
from tests.integration.settlement.market import Market

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def flag(signed: SignedAgreement, reading: SignedReading) -> Flagged:
    return Flagged(
        rental_id=signed.rental_id,
        seq=reading.reading.seq,
        code="flat_run",
        reason="it froze",
        amount_due=reading.reading.amount_due,
        at=NOW,
    )


def flagged_rental(market: Market) -> tuple[SignedAgreement, Sequence[SignedReading]]:
    """Return a rental in use, three of whose ten readings are acknowledged, and the eighth flagged."""
    signed = market.funded()
    readings = a_reading_chain(30, signed=signed)[:10]
    market.say(flag(signed, readings[7]))
    market.wait_until(lambda: market.call("get_flags", to_hex(signed.rental_id)))
    market.use(signed, readings)
    market.allow(signed, acknowledge(signed, readings[3]))
    market.wait_until(lambda: market.rental(signed).claimed == readings[3].reading.amount_due)
    return signed, readings


def tail(market: Market, signed: SignedAgreement) -> int:
    """Return what the chain says of the tail."""
    return market.stranger.slot(signed.rental_id).tail


class TestFlags:
    def test_hold_the_tail_until_the_renter_acknowledges_the_reading(self, market: Market) -> None:
        signed, readings = flagged_rental(market)
        assert tail(market, signed) == 0
        (held,) = market.call("get_flags", to_hex(signed.rental_id))
        assert (held["seq"], held["code"], held["acknowledged"], held["holds"]) == (
            7,
            "flat_run",
            False,
            True,
        )

        market.allow(signed, acknowledge(signed, readings[7]))
        market.wait_until(lambda: market.rental(signed).claimed == readings[7].reading.amount_due)
        market.wait_until(lambda: tail(market, signed) > 0)

        (released,) = market.call("get_flags", to_hex(signed.rental_id))
        assert (released["acknowledged"], released["holds"]) == (True, False)

    def test_hold_it_until_a_person_clears_them(self, market: Market) -> None:
        signed, readings = flagged_rental(market)
        assert tail(market, signed) == 0

        market.say(FlagCleared(rental_id=signed.rental_id, seq=7, code="flat_run", at=NOW))
        market.wait_until(lambda: tail(market, signed) > 0)

        assert market.rental(signed).claimed == readings[3].reading.amount_due

    def test_hold_it_until_claims_are_about_to_end(self, market: Market) -> None:
        signed, readings = flagged_rental(market)
        assert tail(market, signed) == 0

        market.chain.travel_to(signed.agreement.claim_by - 60)
        market.wait_until(lambda: tail(market, signed) > 0)

        owed = readings[-1].reading.amount_due - readings[3].reading.amount_due
        assert tail(market, signed) == min(owed, signed.agreement.pay.block_max)
