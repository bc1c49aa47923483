"""See refusals.tree: whatever is sent in a passkey's name opens nothing with its money."""

import hypothesis.strategies as st
from brownie import web3
from hypothesis import HealthCheck, given, settings
from world import call_object

EXAMPLES = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def opens(world, rental, signature):
    call = call_object(world.escrow.openFromBalance, rental.terms, 10_000, signature)
    answer = web3.provider.make_request("eth_call", [{"from": world.relayer.address, **call}, "latest"])
    return "result" in answer


@EXAMPLES
@given(inner=st.binary(max_size=700))
def test_any_bytes_in_the_place_of_an_assertion_open_nothing(world, funded, inner):
    rental = world.rental(renter=funded)

    assert opens(world, rental, rental.agreement_signature)
    assert not opens(world, rental, funded.present(inner))


@EXAMPLES
@given(signature=st.binary(min_size=1, max_size=1_000))
def test_any_bytes_in_the_place_of_a_signature_open_nothing(world, funded, signature):
    assert not opens(world, world.rental(renter=funded), signature)
