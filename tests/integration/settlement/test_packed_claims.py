"""The packed form on the real escrow: what Python packs, the contract reads, whatever keys signed it."""

import pytest

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import next_ceiling, sign_ceiling
from hireling.rental.money import fee_of
from hireling.rental.signing import P256Key, Secp256k1Key, keccak256
from services.settlement.escrow.logs import ChainLog
from services.settlement.escrow.node import Call, Reverted
from services.settlement.escrow.packed import Evidence
from tests.builders import (
    METER_KEY,
    RENTER_AGENT_KEY,
    a_key,
    a_listing,
    a_p256_key,
    a_reading_chain,
    a_request,
)
from tests.chain import DevChain
from tests.chain_rentals import door, opened, send

Key = Secp256k1Key | P256Key
P256_METER, P256_AGENT = a_p256_key("meter"), a_p256_key("renter's agent")
OWNERS = (a_key("owner"), a_key("another owner"))
ACKNOWLEDGED = 3


def rental(chain: DevChain, number: int, *, meter: Key, agent: Key, owner: Key) -> SignedAgreement:
    """Return an open rental between these keys."""
    listing = a_listing(meter_key=meter, owner=owner.identity)
    request = a_request(listing=listing, renter_agent_key=agent)
    salt = keccak256(number.to_bytes(2))
    return opened(chain, door(chain), listing=listing, request=request, salt=salt)


def evidence(signed: SignedAgreement, *, meter: Key, agent: Key) -> Evidence:
    """Return a reading and a ceiling, signed by these keys, which need not be the rental's."""
    readings = a_reading_chain(6, signed=signed, meter_key=meter)
    ceiling = next_ceiling(signed.agreement, readings[ACKNOWLEDGED].reading)
    return Evidence(signed.agreement, readings[-2], sign_ceiling(agent, signed.domain, ceiling))


def said_of(logs: list[ChainLog], signed: SignedAgreement) -> ChainLog:
    """Return what the batch's log says of the rental."""
    subject = f"0x{signed.rental_id.hex()}"
    (log,) = (log for log in logs if log.subject == subject and "outcome" in log.arguments)
    return log


class TestThePackedForm:
    def test_pays_rows_of_both_curves_and_two_owners_to_the_base_unit(self, chain: DevChain) -> None:
        kinds = [(m, a) for m in (METER_KEY, P256_METER) for a in (RENTER_AGENT_KEY, P256_AGENT)]
        rentals = {
            rental(chain, number, meter=meter, agent=agent, owner=OWNERS[number % 2]): (meter, agent)
            for number, (meter, agent) in enumerate(kinds * 2)
        }
        relayer = door(chain)
        claims = [evidence(signed, meter=meter, agent=agent) for signed, (meter, agent) in rentals.items()]
        send(relayer, relayer.calls.claim_packed(claims))

        logs = relayer.logs(first=chain.height(), last=chain.height())
        for signed, claim in zip(rentals, claims, strict=True):
            slot = relayer.slot(signed.rental_id)
            assert slot.paid == claim.ceiling.ceiling.ack_amount
            assert slot.paid + slot.tail == claim.reading.reading.amount_due
            said = said_of(logs, signed)
            assert (said.name, said.arguments["outcome"]) == ("Claimed", "CLAIMED")
            assert (said.arguments["paid"], said.arguments["tail"]) == (slot.paid, slot.tail)
        for owner in OWNERS:
            theirs = [signed for signed in rentals if signed.agreement.pay.owner == owner.identity]
            paid = [relayer.slot(signed.rental_id).paid for signed in theirs]
            assert relayer.wallet(owner.identity).credit == sum(each - fee_of(each, 250) for each in paid)

    @pytest.mark.parametrize(
        ("meter", "agent", "outcome"),
        [
            (a_key("a thief"), RENTER_AGENT_KEY, "BAD_METER_SIGNATURE"),
            (METER_KEY, a_key("a thief"), "BAD_RENTER_AGENT_SIGNATURE"),
        ],
    )
    def test_skips_a_row_that_another_key_signed(
        self, chain: DevChain, meter: Key, agent: Key, outcome: str
    ) -> None:
        keys: dict[str, Key] = {"meter": METER_KEY, "agent": RENTER_AGENT_KEY}
        good, bad = (rental(chain, number, **keys, owner=OWNERS[0]) for number in range(2))
        relayer = door(chain)
        claims = [evidence(bad, meter=meter, agent=agent), evidence(good, **keys)]
        send(relayer, relayer.calls.claim_packed(claims))

        logs = relayer.logs(first=chain.height(), last=chain.height())
        assert (said_of(logs, bad).name, said_of(logs, bad).arguments["outcome"]) == ("ClaimSkipped", outcome)
        assert relayer.slot(bad.rental_id).paid == 0 < relayer.slot(good.rental_id).paid

    def test_is_refused_whole_where_it_ends_too_early(self, chain: DevChain) -> None:
        keys: dict[str, Key] = {"meter": METER_KEY, "agent": RENTER_AGENT_KEY}
        signed = rental(chain, 0, **keys, owner=OWNERS[0])
        call = door(chain).calls.claim_packed([evidence(signed, **keys)])
        length = int.from_bytes(call.data[36:68])
        shorter = call.data[:36] + (length - 1).to_bytes(32) + call.data[68:]
        with pytest.raises(Reverted, match="MalformedBatch"):
            send(door(chain), Call(to=call.to, data=shorter))
