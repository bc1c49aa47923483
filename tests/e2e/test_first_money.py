"""The shortest way a machine's work becomes money.

A real chain, the real contracts, two keys, and no service at all.
"""

import pytest

from hireling.rental.money import fee_of
from services.settlement.escrow.node import Reverted
from tests.builders import OWNER_KEY, RENTER_KEY, a_reading_chain
from tests.chain import DevChain
from tests.chain_rentals import acknowledge, agree, close_call, door, holdings, permit, send

SOME = 5_000  # base units that the renter has beyond what it locks


class TestFirstMoney:
    def test_ten_readings_and_two_ceilings_move_exactly_what_they_say(self, chain: DevChain) -> None:
        relayer = door(chain)
        signed = agree(chain)
        pay, rental_id = signed.agreement.pay, signed.rental_id
        all_in = signed.agreement.all_in
        send(relayer, relayer.calls.mint(RENTER_KEY.identity, all_in + SOME))
        before = holdings(chain, relayer, signed)

        send(relayer, relayer.calls.open(signed, permit(chain, relayer, value=all_in)))
        assert holdings(chain, relayer, signed)["escrow"] == before["escrow"] + all_in

        readings = a_reading_chain(10, signed=signed)
        first, last = readings[4], readings[-1]
        send(relayer, relayer.calls.claim(signed.agreement, first, acknowledge(signed, first)))
        assert relayer.slot(rental_id).paid == first.reading.amount_due

        send(relayer, relayer.calls.claim(signed.agreement, last, acknowledge(signed, last)))
        use = last.reading.amount_due
        assert relayer.slot(rental_id).paid == use > first.reading.amount_due

        send(relayer, close_call(relayer, signed, use=use))

        after = holdings(chain, relayer, signed)
        fee = fee_of(use, pay.fee_bps)
        assert after == {
            "owner": before["owner"] + use - fee,
            "renter": before["renter"] - use,
            "fee": before["fee"] + fee,
            "escrow": before["escrow"],
        }
        assert sum(after.values()) == sum(before.values())
        assert relayer.wallet(OWNER_KEY.identity).credit == 0, "the owner's money was pushed to its address"

    def test_the_chain_knows_the_rental_by_the_same_digest(self, chain: DevChain) -> None:
        relayer = door(chain)
        signed = agree(chain)
        send(relayer, relayer.calls.mint(RENTER_KEY.identity, signed.agreement.all_in))
        send(relayer, relayer.calls.open(signed, permit(chain, relayer, value=signed.agreement.all_in)))

        (log,) = [log for log in relayer.logs(first=0, last=chain.height()) if log.name == "Opened"]

        assert log.subject == f"0x{signed.rental_id.hex()}"

    def test_one_key_moves_nothing(self, chain: DevChain) -> None:
        relayer = door(chain)
        signed = agree(chain)
        send(relayer, relayer.calls.mint(RENTER_KEY.identity, signed.agreement.all_in))
        send(relayer, relayer.calls.open(signed, permit(chain, relayer, value=signed.agreement.all_in)))
        reading = a_reading_chain(3, signed=signed)[1]
        forged = acknowledge(signed, reading).model_copy(update={"signature": reading.signature})

        with pytest.raises(Reverted, match="ClaimRefused"):
            send(relayer, relayer.calls.claim(signed.agreement, reading, forged))

        assert relayer.slot(signed.rental_id).paid == 0
