"""Wallets: what the chain says of an address, test tokens, and relayed transfers."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from services.gateway.parameters import FaucetWish, WalletPath, problems
from services.gateway.rpc import call, wire
from services.messages.settlement import Relayed, TransferAuthorization, WalletView

routes = APIBlueprint(
    "wallets", __name__, url_prefix="/v1", abp_responses=problems(), abp_tags=[Tag(name="wallets")]
)


@routes.get("/wallets/<address>", operation_id="get_wallet", responses={200: WalletView})
def get_wallet(path: WalletPath) -> Any:
    """Return an address's tokens, what the escrow owes it, and its next permit nonce."""
    return call("settlement", "get_wallet", wire(path)["address"])


@routes.post("/faucet", operation_id="draw_test_tokens", responses={200: WalletView})
def draw_test_tokens(body: FaucetWish) -> Any:
    """Give an address test tokens. On a development chain only."""
    return call("settlement", "faucet", wire(body)["address"])


@routes.post("/withdrawals", operation_id="withdraw", responses={200: Relayed})
def withdraw(body: TransferAuthorization) -> Any:
    """Relay an ERC-3009 transfer that its sender signed; the platform pays the gas."""
    return call("settlement", "withdraw", wire(body))
