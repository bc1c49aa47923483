"""A payer with the official x402 client, unmodified, and what a front asks of it."""

from typing import Any

from eth_account import Account
from x402 import x402ClientSync
from x402.http.x402_http_client import x402HTTPClientSync
from x402.mechanisms.evm.exact import ExactEvmScheme
from x402.schemas import PaymentPayload, PaymentRequired

from hireling.rental.signing import Secp256k1Key
from hireling.renter.wallet import TokenDomain
from hireling.x402.words import Requirements
from tests.builders import TOKEN, a_key

CHAIN_ID = 31337
PAYER = a_key("payer")
FRONT = a_key("front")
DOMAIN = TokenDomain(name="Hireling Test Dollar", version="1", chain_id=CHAIN_ID, contract=TOKEN)


def requirements(**changes: Any) -> Requirements:
    """Return what a front requires."""
    terms: dict[str, Any] = {
        "scheme": "exact",
        "network": f"eip155:{CHAIN_ID}",
        "asset": f"0x{TOKEN.hex()}",
        "amount": "1234567",
        "pay_to": f"0x{FRONT.identity.hex()}",
        "max_timeout_seconds": 300,
        "extra": {"name": DOMAIN.name, "version": DOMAIN.version, "listing": "0x00", "seconds": "60"},
    }
    return Requirements.model_validate(terms | changes)


class Payer:
    """The official client for one key, allowed to spend one token."""

    def __init__(self, key: Secp256k1Key = PAYER, *, chain_id: int = CHAIN_ID, token: bytes = TOKEN) -> None:
        network = f"eip155:{chain_id}"
        self.client = x402ClientSync()
        self.client.register(network, ExactEvmScheme(Account.from_key(key.secret)))
        # It pays in known dollars only, unless its user says otherwise.
        self.client.set_spend_controls(
            {"allowed_assets": [{"network": network, "asset": f"0x{token.hex()}"}]}
        )
        self.http = x402HTTPClientSync(self.client)

    def pays(self, required: dict[str, Any]) -> PaymentPayload:
        """Return the signed payment for an answer of 402."""
        payload = self.client.create_payment_payload(PaymentRequired.model_validate(required))
        assert isinstance(payload, PaymentPayload)
        return payload

    def header(self, payload: PaymentPayload) -> str:
        """Return the payment as it travels."""
        (header,) = self.http.encode_payment_signature_header(payload).values()
        return header
