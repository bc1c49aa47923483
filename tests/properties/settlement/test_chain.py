"""The same random lives on the real contract.

It allows exactly what the model allows, and pays exactly what the model pays.
"""

from hypothesis import HealthCheck, Phase, given, settings

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import Ceiling, sign_ceiling
from hireling.rental.close import Close as CloseWord
from hireling.rental.close import Dispute as DisputeWord
from hireling.rental.close import Exit as ExitWord
from hireling.rental.escrow_math import Status
from hireling.rental.reading import sign_reading
from hireling.rental.signing import sign
from services.settlement.escrow.abi import ESCROW, calldata
from services.settlement.escrow.calls import terms
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call
from tests.builders import METER_KEY, OWNER_AGENT_KEY, RENTER_AGENT_KEY, RENTER_KEY, a_reading_chain
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, door, holdings, mined, opened
from tests.properties.settlement.walks import WALKS, Claim, Close, Dispute, Exit, Model, Step, share

# Enough for any of the calls; estimating would judge them at another moment than they are mined at.
GAS = 1_500_000


class TestTheRealEscrow:
    @settings(
        max_examples=15,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
    )
    @given(walk=WALKS)
    def test_walks_as_the_model_walks(self, chain: DevChain, walk: list[Step]) -> None:
        with chain.rolled_back():
            stranger = door(chain)
            signed = opened(chain, stranger)
            model = Model.opened(signed, now=chain.now())
            before = holdings(chain, stranger, signed)
            for step in walk:
                allowed = model.take(step)
                assert send_at(chain, stranger, call_of(stranger, signed, step), at=model.now) == allowed, (
                    step
                )
                same_slot(stranger, signed, model)
            if model.slot.has(Status.OPEN):
                model.finish()
                assert send_at(chain, stranger, stranger.calls.settle(signed.agreement), at=model.now), (
                    "a stranger settles"
                )

            after = holdings(chain, stranger, signed)
            assert after == {
                "owner": before["owner"] + model.owner,
                "renter": before["renter"] + model.renter,
                "fee": before["fee"] + model.fee,
                "escrow": before["escrow"] - model.came_in,
            }


def same_slot(stranger: Chain, signed: SignedAgreement, model: Model) -> None:
    """Assert that the chain's slot is the model's; a finished one may be deleted."""
    slot = stranger.slot(signed.rental_id)
    if model.slot.has(Status.DONE):
        assert slot.status in (Status(0), Status.DONE)
        return
    assert slot == model.slot


def send_at(chain: DevChain, stranger: Chain, call: Call, *, at: int) -> bool:
    """Have a stranger's transaction mined at that very moment; return whether the contract allowed it."""
    signed = stranger.sign(call, nonce=stranger.nonce(), gas=GAS, fees=stranger.fees())
    chain.call("evm_setNextBlockTimestamp", at)
    stranger.broadcast(signed.raw)
    return mined(stranger, signed.hash).succeeded


def call_of(stranger: Chain, signed: SignedAgreement, step: Step) -> Call:
    """Return the step as a call, signed by whom it needs."""
    calls, agreement, rental_id = stranger.calls, signed.agreement, signed.rental_id
    if isinstance(step, Claim):
        return claim_call(stranger, signed, step)
    if isinstance(step, Close):
        damage = share(agreement.rules.deposit, step.damage)
        use = share(agreement.pay.max_total, step.use)
        close = CloseWord(rental_id=rental_id, use=use, damage=damage, valid_until=FOREVER)
        return calls.close(
            agreement,
            close,
            owner_signature=sign(OWNER_AGENT_KEY, signed.domain, close),
            renter_signature=sign(RENTER_KEY, signed.domain, close),
        )
    if isinstance(step, Exit):
        return calls.exit(agreement, sign(RENTER_AGENT_KEY, signed.domain, ExitWord(rental_id=rental_id)))
    if isinstance(step, Dispute):
        signature = sign(RENTER_KEY, signed.domain, DisputeWord(rental_id=rental_id))
        data = calldata(ESCROW, "dispute", terms(agreement), signature)
        return Call(to=stranger.deployment.escrow, data=data)
    return calls.settle(agreement)


def claim_call(stranger: Chain, signed: SignedAgreement, step: Claim) -> Call:
    """Return a claim with these amounts, whatever readings came before: the escrow sees only the last."""
    total = signed.agreement.pay.max_total
    some = a_reading_chain(2, signed=signed)[0].reading
    reading = some.model_copy(update={"amount_due": share(total, step.amount_due)})
    ceiling = Ceiling(
        rental_id=signed.rental_id,
        max_claimable=share(total, step.max_claimable),
        ack_amount=share(total, step.ack_amount),
        ack_reading=bytes(32),
    )
    return stranger.calls.claim(
        signed.agreement,
        sign_reading(METER_KEY, signed.domain, reading),
        sign_ceiling(RENTER_AGENT_KEY, signed.domain, ceiling),
    )
