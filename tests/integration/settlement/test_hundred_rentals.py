"""A hundred rentals in one transaction, by settlement itself on a real chain; one of them is poisoned."""

from collections.abc import Sequence

import pytest

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import next_ceiling, sign_ceiling
from hireling.rental.money import fee_of
from hireling.rental.reading import SignedReading
from hireling.rental.signing import keccak256
from hireling.rental.states import State
from hireling.rental.typed_data import to_hex
from services.messages.events.negotiation import Agreed
from services.messages.events.settlement import Claimed
from services.messages.metering import Refusal
from tests.builders import OWNER_KEY, a_key, a_reading_chain
from tests.chain_rentals import acknowledge, holdings, opened
from tests.integration.settlement.market import Market

RENTALS = 100
POISONED = 37
READINGS = 4
LAST_SEEN = 2  # the reading that the renters acknowledge; the rental runs on


@pytest.fixture
def environment(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have claims wait for a full batch: none is old enough to go before."""
    monkeypatch.setenv("SETTLEMENT_BATCH_SIZE", str(RENTALS))
    monkeypatch.setenv("SETTLEMENT_BATCH_AGE", "100000")


class TestHundredRentals:
    @pytest.mark.timeout(300)
    def test_are_settled_in_one_transaction_and_one_poisoned_row_stops_no_other(
        self, market: Market, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rentals = [live(market, number) for number in range(RENTALS)]
        for signed in rentals:
            market.wait_for_state(signed, State.FUNDED)
        poisoned, others = rentals[POISONED], rentals[:POISONED] + rentals[POISONED + 1 :]
        before = holdings(market.chain, market.stranger, poisoned)
        readings = {signed.rental_id: a_reading_chain(READINGS, signed=signed) for signed in rentals}
        for signed in rentals:
            use(market, signed, readings[signed.rental_id], poison=signed is poisoned)

        market.wait_until(lambda: len(claims_told(market)) == RENTALS - 1)
        market.wait_until(lambda: market.rental(poisoned).refusals == 1)

        # Ninety-nine are paid what their renters acknowledged, and the poisoned one nothing.
        due = readings[poisoned.rental_id][LAST_SEEN].reading.amount_due
        assert [market.stranger.slot(signed.rental_id).paid for signed in others] == [due] * (RENTALS - 1)
        assert market.stranger.slot(poisoned.rental_id).paid == 0
        assert claims_told(market) == {signed.rental_id: due for signed in others}
        assert market.rental(poisoned).claimed == 0

        # It was one transaction; its one refusal has the escrow's own reason and is nobody else's.
        batch = next(each for each in market.rental(others[0]).transactions if each.kind == "claims")
        assert {told.tx_hash for told in told_claims(market)} == {batch.hash}
        refusals = market.call("get_refusals", to_hex(poisoned.rental_id))
        (refusal,) = (Refusal.model_validate(each) for each in refusals)
        assert refusal.code == "claim_bad_renter_agent_signature"
        assert refusal.seq == LAST_SEEN + 1
        assert sum(market.rental(signed).refusals for signed in others[:5]) == 0

        # The owner has its part of each as credit; every fee waits in the escrow; no base unit is lost.
        fee = fee_of(due, poisoned.agreement.pay.fee_bps)
        after = holdings(market.chain, market.stranger, poisoned)
        assert after == {
            "owner": before["owner"] + (RENTALS - 1) * (due - fee),
            "renter": before["renter"],
            "fee": before["fee"],
            "escrow": before["escrow"] - (RENTALS - 1) * (due - fee),
        }
        assert market.stranger.wallet(OWNER_KEY.identity).credit == (RENTALS - 1) * (due - fee)

        gas = batch.gas_used
        assert gas is not None
        with capsys.disabled():
            print(  # noqa: T201 - the figure is what a reader of the run looks for
                f"\n{RENTALS} rentals in one transaction: {gas} gas, {gas // RENTALS} a rental"
            )


def live(market: Market, number: int) -> SignedAgreement:
    """Return a rental that is open on the chain and told to settlement."""
    signed = opened(market.chain, market.stranger, salt=keccak256(number.to_bytes(2)))
    market.say(Agreed(quote_id=f"quote-{number}", rental_id=signed.rental_id, signed=signed))
    return signed


def use(market: Market, signed: SignedAgreement, readings: Sequence[SignedReading], *, poison: bool) -> None:
    """Have the machine run and the renter allow it; a poisoned ceiling is signed by another key."""
    ceiling = acknowledge(signed, readings[LAST_SEEN])
    if poison:
        allowed = next_ceiling(signed.agreement, readings[LAST_SEEN].reading)
        ceiling = sign_ceiling(a_key("a thief"), signed.domain, allowed)
    market.use(signed, readings[: LAST_SEEN + 2])
    market.allow(signed, ceiling)


def told_claims(market: Market) -> list[Claimed]:
    """Return what everybody was told of claims."""
    return [event for event in market.heard if isinstance(event, Claimed)]


def claims_told(market: Market) -> dict[bytes, int]:
    """Return which rentals' claims were told, and how much is paid of each."""
    return {event.rental_id: event.paid for event in told_claims(market)}
