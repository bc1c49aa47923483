"""Somebody with a passkey and no wallet rents on a deployed chain by the protocol's objects alone."""

import json

import pytest
from eth_abi.abi import decode

from hireling.rental.agreement import SignedAgreement
from hireling.rental.close import Close, Exit, Withdraw
from hireling.rental.signing import sign
from hireling.rental.terms import account_of
from services.settlement.escrow.abi import ESCROW, TOKEN, calldata, checksummed
from services.settlement.escrow.calls import terms
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.node import Call, Node, Reverted
from tests.builders import OWNER_AGENT_KEY, OWNER_KEY, a_key
from tests.chain import DevChain
from tests.chain_rentals import FOREVER, NODE_SECONDS, RELAYER_KEY, agree, door, send
from tests.integration.contracts.passkey import Passkey

TILL = a_key("till").identity
FULLY = 10_000
TIP = 7


@pytest.fixture
def relayer(chain: DevChain) -> Chain:
    """Return the door of whoever sends: it owns no part of what it sends for."""
    return door(chain)


@pytest.fixture
def passkey(chain: DevChain) -> Passkey:
    """Return a passkey under the verifier that the deployment's record names."""
    record = json.loads(chain.deployment.path.read_text())
    return Passkey(bytes.fromhex(record["passkey_verifier"][2:]))


def escrow_call(chain: DevChain, function: str, *arguments: object) -> Call:
    return Call(to=chain.deployment.escrow, data=calldata(ESCROW, function, *arguments))


def held_by(chain: DevChain, signer: bytes) -> int:
    """Return what the signer's account holds inside the escrow."""
    call = escrow_call(chain, "balances", checksummed(chain.deployment.token), account_of(signer))
    amount, _ = decode(["uint128", "uint64"], Node(chain.rpc_url, seconds=NODE_SECONDS).read(call))
    return int(amount)


def give(chain: DevChain, relayer: Chain, passkey: Passkey, amount: int) -> None:
    """Deposit new tokens of the relayer's for the passkey's account."""
    deployment = chain.deployment
    approval = calldata(TOKEN, "approve", checksummed(deployment.escrow), amount)
    token = checksummed(deployment.token)
    send(relayer, relayer.calls.mint(RELAYER_KEY.identity, amount))
    send(relayer, Call(to=deployment.token, data=approval))
    send(relayer, escrow_call(chain, "deposit", token, account_of(passkey.identity), amount))


def rented(chain: DevChain, relayer: Chain, passkey: Passkey) -> SignedAgreement:
    """Return a rental that the passkey pays from its balance."""
    signed = agree(chain, renter=passkey.identity)
    word = sign(passkey, signed.domain, signed.agreement)
    send(relayer, escrow_call(chain, "openFromBalance", terms(signed.agreement), FULLY, word))
    return signed


def test_a_passkey_rents_exits_closes_and_withdraws_to_the_unit(
    chain: DevChain, relayer: Chain, passkey: Passkey
) -> None:
    all_in = agree(chain, renter=passkey.identity).agreement.all_in
    give(chain, relayer, passkey, all_in + 1_000)

    signed = rented(chain, relayer, passkey)
    assert held_by(chain, passkey.identity) == 1_000
    leaving = Exit(rental_id=signed.rental_id)
    send(relayer, relayer.calls.exit(signed.agreement, sign(passkey, signed.domain, leaving)))
    close = Close(rental_id=signed.rental_id, use=all_in // 3, damage=0, valid_until=FOREVER)
    send(
        relayer,
        relayer.calls.close(
            signed.agreement,
            close,
            owner_signature=sign(OWNER_AGENT_KEY, signed.domain, close),
            renter_signature=sign(passkey, signed.domain, close),
        ),
    )
    left = all_in + 1_000 - close.use
    assert held_by(chain, passkey.identity) == left
    order = Withdraw(
        account=account_of(passkey.identity),
        token=chain.deployment.token,
        to=TILL,
        amount=left - TIP,
        tip=TIP,
        nonce=0,
        valid_until=FOREVER,
    )
    arguments = (
        order.account,
        checksummed(order.token),
        checksummed(order.to),
        order.amount,
        order.tip,
        0,
        FOREVER,
    )
    withdrawal = escrow_call(chain, "withdraw", *arguments, sign(passkey, signed.domain, order))
    send(relayer, withdrawal)

    fee = close.use * signed.agreement.pay.fee_bps // 10_000
    assert held_by(chain, passkey.identity) == 0
    assert relayer.wallet(TILL).balance == left - TIP
    assert relayer.wallet(RELAYER_KEY.identity).balance == TIP
    assert relayer.wallet(OWNER_KEY.identity).balance == close.use - fee
    with pytest.raises(Reverted, match="WrongNonce"):
        relayer.simulate(withdrawal)


def test_another_passkey_spends_nothing_of_it(chain: DevChain, relayer: Chain, passkey: Passkey) -> None:
    signed = agree(chain, renter=passkey.identity)
    give(chain, relayer, passkey, signed.agreement.all_in)
    thief = Passkey(passkey.identity[:20])
    word = sign(thief, signed.domain, signed.agreement)
    opening = escrow_call(chain, "openFromBalance", terms(signed.agreement), FULLY, word)

    with pytest.raises(Reverted, match="Unauthorized"):
        relayer.simulate(opening)
