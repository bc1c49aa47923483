"""Rentals on the real chain, for tests.

Agreements for its contracts, tokens, permits, and plain transactions by anyone.
"""

import time
from typing import Any

from eth_account import Account

from hireling.rental.agreement import SignedAgreement
from hireling.rental.ceiling import SignedCeiling, first_ceiling, next_ceiling, sign_ceiling
from hireling.rental.close import Close, Possession
from hireling.rental.reading import SignedReading
from hireling.rental.signing import Secp256k1Key, Signer, sign
from hireling.rental.typed_data import Domain, to_hex
from services.messages.settlement import Permit
from services.settlement.escrow.abi import REGISTRY
from services.settlement.escrow.chain import Chain
from services.settlement.escrow.deployment import read_deployment
from services.settlement.escrow.node import Call, Node, Receipt, Reverted
from tests.builders import (
    OWNER_AGENT_KEY,
    OWNER_KEY,
    RENTER_AGENT_KEY,
    RENTER_KEY,
    a_key,
    an_offer,
    signed_agreement,
)
from tests.chain import DevChain

RELAYER_KEY = a_key("relayer")
STRANGER_KEY = a_key("stranger")
FOREVER = (1 << 40) - 1
NODE_SECONDS = 10.0
MINED_WITHIN = 10.0
# Names in the token's own signing domain. Source: the token's constructor.
TOKEN_NAME, TOKEN_VERSION = "Hireling Test Dollar", "1"
PERMIT_TYPE = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def door(dev: DevChain, *, key: Secp256k1Key = RELAYER_KEY) -> Chain:
    """Return settlement's door to the chain, sending with this key; it has gas."""
    dev.fund(key.identity)
    node = Node(dev.rpc_url, seconds=NODE_SECONDS)
    return Chain(node=node, deployment=read_deployment(dev.deployment.path), relayer=key)


def agree(dev: DevChain, **changes: Any) -> SignedAgreement:
    """Return an agreement on this chain that both sides signed.

    It begins now, lasts an hour, and can be funded for 15 minutes.
    """
    now, contracts = dev.now(), dev.deployment
    terms: dict[str, Any] = {
        "chain_id": contracts.chain_id,
        "escrow": contracts.escrow,
        "token": contracts.token,
        "start_at": now,
        "fund_by": now + 900,
        "end_by": now + 3_600,
        "valid_until": now + 120,
    }
    return signed_agreement(offer=an_offer(**(terms | changes)))


def permit(dev: DevChain, chain: Chain, *, value: int, key: Secp256k1Key = RENTER_KEY) -> Permit:
    """Return the key's EIP-2612 permit of its tokens to the escrow."""
    message = {
        "owner": to_hex(key.identity),
        "spender": to_hex(dev.deployment.escrow),
        "value": value,
        "nonce": chain.wallet(key.identity).nonce,
        "deadline": FOREVER,
    }
    domain = {
        "name": TOKEN_NAME,
        "version": TOKEN_VERSION,
        "chainId": dev.deployment.chain_id,
        "verifyingContract": to_hex(dev.deployment.token),
    }
    signed = Account.sign_typed_data(key.secret, domain, PERMIT_TYPE, message)
    return Permit(value=value, deadline=FOREVER, signature=bytes(signed.signature))


def send(chain: Chain, call: Call) -> Receipt:
    """Send a call as the door's own transaction, on a chain that mines at once, and return its receipt.

    Raises Reverted before anything is sent.
    """
    signed = chain.sign(call, nonce=chain.nonce(), gas=chain.gas(call), fees=chain.fees())
    chain.broadcast(signed.raw)
    receipt = mined(chain, signed.hash)
    if not receipt.succeeded:
        raise Reverted("mined and failed")
    return receipt


def possession(
    chain: Chain, meter: Signer, *, owner: bytes, device: bytes, metadata: bytes = bytes(32)
) -> bytes:
    """Return a key's proof that it is to be this owner's device's, for ever."""
    registry = chain.deployment.registry
    proof = Possession(owner=owner, registry=registry, device=device, metadata=metadata, valid_until=FOREVER)
    return sign(meter, Domain(chain_id=chain.deployment.chain_id, escrow=registry), proof)


def rotate_meter(owner: Chain, device: bytes, meter: Signer, *, owner_key: Secp256k1Key) -> Receipt:
    """Give a device another key, as its owner."""
    proof = possession(owner, meter, owner=owner_key.identity, device=device)
    return send(
        owner, _registry(owner, "rotateMeter", int.from_bytes(device), meter.identity, FOREVER, proof)
    )


def revoke_meter(owner: Chain, device: bytes) -> Receipt:
    """End a device's key, as its owner."""
    return send(owner, _registry(owner, "revokeMeter", int.from_bytes(device)))


def _registry(owner: Chain, function: str, *arguments: Any) -> Call:
    return owner.calls._call(owner.deployment.registry, REGISTRY, function, *arguments)


def mined(chain: Chain, tx_hash: bytes) -> Receipt:
    """Return the receipt once the transaction is mined.

    A node answers before it has mined, even one that mines at once.
    """
    deadline = time.monotonic() + MINED_WITHIN
    while time.monotonic() < deadline:
        receipt = chain.receipt(tx_hash)
        if receipt is not None:
            return receipt
        time.sleep(0.01)
    raise TimeoutError(f"0x{tx_hash.hex()} was not mined within {MINED_WITHIN} s")


def opened(dev: DevChain, chain: Chain, **changes: Any) -> SignedAgreement:
    """Return a rental that is open and wholly funded, by a permit of a renter that has exactly the money."""
    signed = agree(dev, **changes)
    send(chain, chain.calls.mint(RENTER_KEY.identity, signed.agreement.all_in))
    send(chain, chain.calls.open(signed, permit(dev, chain, value=signed.agreement.all_in)))
    return signed


def acknowledge(signed: SignedAgreement, reading: SignedReading | None) -> SignedCeiling:
    """Return the renter's agent's ceiling that acknowledges the reading, or the first one."""
    if reading is None:
        ceiling = first_ceiling(signed.agreement, rental_id=signed.rental_id)
    else:
        ceiling = next_ceiling(signed.agreement, reading.reading)
    return sign_ceiling(RENTER_AGENT_KEY, signed.domain, ceiling)


def close_call(chain: Chain, signed: SignedAgreement, *, use: int, damage: int = 0) -> Call:
    """Return the call that closes the rental by both agents' signatures.

    Where there is damage, by the renter's own.
    """
    close = Close(rental_id=signed.rental_id, use=use, damage=damage, valid_until=FOREVER)
    renter_key = RENTER_KEY if damage else RENTER_AGENT_KEY
    return chain.calls.close(
        signed.agreement,
        close,
        owner_signature=sign(OWNER_AGENT_KEY, signed.domain, close),
        renter_signature=sign(renter_key, signed.domain, close),
    )


def holdings(dev: DevChain, chain: Chain, signed: SignedAgreement) -> dict[str, int]:
    """Return what everybody has, tokens and credit, and what the escrow holds beyond what it owes.

    It is all the money there is.
    """
    people = {
        "owner": OWNER_KEY.identity,
        "renter": RENTER_KEY.identity,
        "fee": signed.agreement.pay.fee_to,
    }
    wallets = {name: chain.wallet(address) for name, address in people.items()}
    owed = sum(wallet.credit for wallet in wallets.values())
    found = {name: wallet.balance + wallet.credit for name, wallet in wallets.items()}
    return {**found, "escrow": chain.wallet(dev.deployment.escrow).balance - owed}
