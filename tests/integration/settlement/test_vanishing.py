"""Somebody vanishes: by the escrow's deadlines the money comes back.

Plain calls of a stranger are enough, with no service running.
"""

import pytest

from hireling.rental.close import Exit
from hireling.rental.money import fee_of
from hireling.rental.signing import sign
from services.settlement.escrow.node import Reverted
from tests.builders import RENTER_AGENT_KEY, a_reading_chain
from tests.chain import DevChain
from tests.chain_rentals import STRANGER_KEY, acknowledge, close_call, door, holdings, opened, send


class TestTheRenterVanishes:
    def test_what_it_acknowledged_is_paid_and_the_tail_waits_out_the_challenge(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        before = holdings(chain, stranger, signed)
        readings = a_reading_chain(40, signed=signed)
        acknowledged, last = readings[9], readings[30]
        send(stranger, stranger.calls.claim(signed.agreement, last, acknowledge(signed, acknowledged)))
        use = last.reading.amount_due
        paid = acknowledged.reading.amount_due
        assert holdings(chain, stranger, signed)["owner"] == before["owner"] + paid - fee_of(
            paid, signed.agreement.pay.fee_bps
        )

        claim_by = signed.agreement.claim_by
        chain.travel_to(claim_by + 1)
        send(stranger, stranger.calls.settle(signed.agreement))
        with pytest.raises(Reverted, match="TooEarly"):
            send(stranger, stranger.calls.settle(signed.agreement))
        chain.travel_to(claim_by + signed.agreement.rules.challenge_window + 1)
        send(stranger, stranger.calls.settle(signed.agreement))

        after = holdings(chain, stranger, signed)
        fee = fee_of(use, signed.agreement.pay.fee_bps)
        assert after["owner"] == before["owner"] + use - fee
        assert after["renter"] == before["renter"] + signed.agreement.all_in - use
        assert after["escrow"] == before["escrow"] - signed.agreement.all_in
        assert sum(after.values()) == sum(before.values())

    def test_a_tail_no_larger_than_one_block_is_all_that_was_ever_at_stake(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        readings = a_reading_chain(400, signed=signed)
        acknowledged, last = readings[9], readings[-1]
        chain.travel(seconds=600)

        send(stranger, stranger.calls.claim(signed.agreement, last, acknowledge(signed, acknowledged)))

        slot = stranger.slot(signed.rental_id)
        assert slot.paid == acknowledged.reading.amount_due
        assert slot.tail == signed.agreement.pay.block_max
        assert slot.paid + slot.tail < last.reading.amount_due


class TestTheDeviceVanishes:
    def test_before_it_began_the_renter_gets_everything_back_and_pays_no_fee(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        before = holdings(chain, stranger, signed)
        chain.travel_to(signed.agreement.claim_by)
        with pytest.raises(Reverted, match="TooEarly"):
            send(stranger, stranger.calls.settle(signed.agreement))

        chain.travel(seconds=1)
        send(stranger, stranger.calls.settle(signed.agreement))

        after = holdings(chain, stranger, signed)
        assert after == {
            **before,
            "renter": before["renter"] + signed.agreement.all_in,
            "escrow": before["escrow"] - signed.agreement.all_in,
        }

    def test_an_exit_by_the_renters_agent_brings_the_money_back_sooner(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        wish = sign(RENTER_AGENT_KEY, signed.domain, Exit(rental_id=signed.rental_id))
        send(stranger, stranger.calls.exit(signed.agreement, wish))
        slot = stranger.slot(signed.rental_id)
        assert slot.claim_by < signed.agreement.claim_by

        chain.travel_to(slot.claim_by + 1)
        send(stranger, stranger.calls.settle(signed.agreement))

        assert holdings(chain, stranger, signed)["renter"] == signed.agreement.all_in


class TestThePlatformStops:
    def test_a_stranger_carries_both_sides_signatures_to_the_chain(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        before = holdings(chain, stranger, signed)
        last = a_reading_chain(20, signed=signed)[-1]
        use = last.reading.amount_due

        send(stranger, stranger.calls.claim(signed.agreement, last, acknowledge(signed, last)))
        send(stranger, close_call(stranger, signed, use=use))

        after = holdings(chain, stranger, signed)
        assert after["owner"] - before["owner"] == use - fee_of(use, signed.agreement.pay.fee_bps)
        assert after["renter"] - before["renter"] == signed.agreement.all_in - use
        assert sum(after.values()) == sum(before.values())

    def test_claims_end_when_they_are_said_to(self, chain: DevChain) -> None:
        stranger = door(chain, key=STRANGER_KEY)
        signed = opened(chain, stranger)
        last = a_reading_chain(20, signed=signed)[-1]
        chain.travel_to(signed.agreement.claim_by + 1)

        with pytest.raises(Reverted, match="ClaimRefused"):
            send(stranger, stranger.calls.claim(signed.agreement, last, acknowledge(signed, last)))
